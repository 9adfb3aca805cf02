#!/bin/sh
# Makes what the workers share: the bucket, what `shotchain bootstrap` makes, the deployments. Safe to repeat.
set -eu

python - <<'PYTHON'
import os

import s3fs

s3fs.S3FileSystem().makedirs(os.environ["SHOTCHAIN_BUCKET"], exist_ok=True)
PYTHON
shotchain bootstrap
prefect --no-prompt deploy --all
