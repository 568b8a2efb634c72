"""Tables, pictures and a page (`report.write_report`) from the results of one or several runs.

`tables` needs NumPy and SciPy only; `plots` and `report` need matplotlib.
"""
