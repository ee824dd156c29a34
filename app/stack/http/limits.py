"""How many bytes a request may have, and what there is to say where the disk has no room for them.

The server, which knows no Django, the middlewares and the guard of the API agree on these.
"""

import errno

from stack.runtime.env import environment, get

MIB = 1024 * 1024
MAX_BODY = MIB  # of a call of the API that says nothing else
FORM_OVERHEAD = 64 * 1024  # bytes of multipart's own lines around the file
MAX_UPLOAD = get("MAX_UPLOAD", environment()) * MIB  # of a request to the project's own addresses
# The server's own limit, before anybody knows the address. A call of the API may take 5 MiB whatever MAX_UPLOAD is.
LARGEST = max(MAX_UPLOAD, 5 * MIB + FORM_OVERHEAD)

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)  # what the system says of a temporary folder
NO_ROOM = (507, "disk_full", "There is no room for this body now. Try again later.")  # status, code, message
