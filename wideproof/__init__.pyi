from wideproof import derive as derive, numeric as numeric, reports as reports
from wideproof.derive import *
from wideproof.numeric import *
from wideproof.reports import *

__version__: str
