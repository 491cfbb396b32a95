from .sections.report import Report as Report, report as report
