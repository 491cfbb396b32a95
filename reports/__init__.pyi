from .sections.writing import Report as Report, report as report
