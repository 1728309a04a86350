"""Prints the folder of the tasks that come with this package, for lmms-eval's own command line:

    lmms-eval --include_path "$(python -m uniopd_mm.evaluation.where)" --tasks uniopd_chartqa ...

lmms-eval finds models through entry points, but tasks only in folders that it is told of.
"""

from uniopd_mm.evaluation.library import FOLDER

if __name__ == "__main__":
    print(FOLDER)
