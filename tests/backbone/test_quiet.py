from __future__ import annotations

import subprocess
import sys


def test_keras_loads_without_a_word_and_only_when_asked() -> None:
    code = (
        "import sys; import cxrfeat.backbone.engine, cxrfeat.workflow.extract; assert 'keras' not in sys.modules; "
        "from cxrfeat.backbone.quiet import import_keras; keras = import_keras(); "
        "assert keras is import_keras() is sys.modules['keras']; keras.ops.ones(3); print('data', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "data\n")
