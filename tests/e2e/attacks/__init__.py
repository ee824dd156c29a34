"""The tables of tests/e2e/test_sweep.py: what is sent, and what tells that it worked.

verbs.py, paths.py, tokens.py, headers.py, smuggling.py, http2.py, forged.py and page.py hold the cases, one a row.
wire.py sends bytes, frames.py makes those of HTTP/2, oracle.py judges what comes back, guarded.py is the stack under
attack. fooled.py is a server that believes everything: each table is sent to it as well.
"""
