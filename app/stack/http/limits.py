"""How many bytes a request may have: the server, the middlewares and the guard of the API agree on these."""

from stack.runtime.env import environment, get

MIB = 1024 * 1024
MAX_BODY = MIB  # of a call of the API that says nothing else
FORM_OVERHEAD = 64 * 1024  # bytes of multipart's own lines around the file
MAX_UPLOAD = get("MAX_UPLOAD", environment()) * MIB  # of a request to the project's own addresses
# The server's own limit, before anybody knows the address. A call of the API may take 5 MiB whatever MAX_UPLOAD is.
LARGEST = max(MAX_UPLOAD, 5 * MIB + FORM_OVERHEAD)
