"""Record the present statements as accepted: ``python -m fairbound.proofs.accept``."""

from __future__ import annotations

from fairbound.proofs.ledger import accept

if __name__ == "__main__":
    accept()
