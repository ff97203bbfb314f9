# What the project uses of `pycuda`: see driver.
