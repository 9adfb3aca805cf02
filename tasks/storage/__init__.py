"""Files on any fsspec storage, each whole or absent: `locate` names one, and a `Location` is all that is done with it.

How one is read, written, renamed, copied and removed is in `location`, which files a folder holds in `listing`, how a
storage is opened and what its errors mean in `access`.
"""

from tasks.storage.listing import StoredFile
from tasks.storage.location import Location, locate

__all__ = ["Location", "StoredFile", "locate"]
