"""Prints the folder of our lmms-eval tasks, for lmms-eval's own command line:

    lmms-eval --include_path "$(python -m uniopd_mm.evaluation.where)" --tasks uniopd_chartqa ...

lmms-eval finds models through entry points, but it looks for tasks only in folders that it is given.
"""

from uniopd_mm.evaluation.library import FOLDER

if __name__ == "__main__":
    print(FOLDER)
