"""Certificates: a bound with everything needed to check it again without trusting this library."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fairbound.bounds.check import MAX_BYTES, SCHEMA, CheckError, check, digest, load
from fairbound.bounds.errors import CertificateError
from fairbound.bounds.files import write_atomically


@dataclass(frozen=True)
class Certificate:
    """
    A certificate that has been checked.

    Attributes
    ----------
    data : dict
        JSON-ready content; every number is an integer or an exact text.
    verified : str
        What `fairbound.bounds.check` says it proves.
    """

    data: Mapping[str, Any]
    verified: str

    @classmethod
    def seal(cls, body: Mapping[str, Any], *, schema: str = SCHEMA) -> Certificate:
        """
        Add schema and digest to a body and check the result.

        Parameters
        ----------
        body : mapping
            JSON-ready content.
        schema : str
            One that `fairbound.bounds.check` knows.

        Raises
        ------
        CertificateError
            If the checker refuses it.
        """
        data = {"schema": schema, **body}
        data["digest"] = digest(data)
        return cls._checked(json.dumps(data))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Certificate:
        """
        Read and check a certificate file, as untrusted input.

        Raises
        ------
        CertificateError
            If the file cannot be read or a line of it does not hold.
        """
        try:
            with open(path, "rb") as file:
                text = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise CertificateError(f"cannot read {path}: {error.strerror or error}.") from None
        return cls._checked(text, f"{path}: ")

    @classmethod
    def _checked(cls, text: str | bytes, where: str = "") -> Certificate:
        try:
            data = load(text)
        except CheckError as error:
            raise CertificateError(f"{where}is no certificate ({error})") from None
        try:
            return cls(data, check(data))
        except CheckError as error:
            raise CertificateError(f"{where}REFUSED. {error}") from None

    def write(self, path: str | os.PathLike[str]) -> Path:
        """
        Write the certificate as JSON, replacing the file in one step.

        Raises
        ------
        CertificateError
            If the file cannot be written.
        """
        target = Path(path)
        try:
            write_atomically(target, (json.dumps(self.data, indent=1) + "\n").encode())
        except OSError as error:
            raise CertificateError(f"cannot write {path}: {error.strerror or error}.") from None
        return target

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return str(self.data["digest"])
