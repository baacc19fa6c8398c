"""The Coq side: shared definitions, the certificate checker proved correct, and compiling it all."""
