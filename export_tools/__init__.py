"""Where models come from: archives in, a model pack out.

    fetch -> verify -> read member -> convert -> pack

Archives are verified by sha256 before anything in them is read; nothing in them is ever built, imported or
executed. This package may import ``device``; ``device`` never imports it. An appliance does not need it once
its pack is built.
"""
