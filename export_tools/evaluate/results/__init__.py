"""What an evaluation found: frozen values that become one JSON file, and tables that become CSV files.

Every rate carries the counts behind it and an interval; a rate without trials is ``null``, never 0. Nothing in here is
NaN or infinite: JSON knows neither.
"""
