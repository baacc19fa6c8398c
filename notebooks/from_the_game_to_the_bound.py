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
# # From the game to the bound, and where the published form breaks
#
# Two worlds differ in who is in them. A model is the same in both. An adversary sees one draw, (prediction, label), and
# guesses the world. How well can it do, if all that is known of the model is how far its rates differ between groups?

# %%
from fractions import Fraction as F

import matplotlib.pyplot as plt

from fairbound.bounds import (
    Channel,
    CompositionPair,
    Disparities,
    constant_classifier_counterexample,
    draws_needed,
    get_game,
    paper_bound,
    witness,
    worst_case_advantage,
    worst_case_by_lp,
)

# %% [markdown]
# ## The game
#
# A composition says how much of a world lies in each (group, label) cell. In world 0 women are .7 of the people, in
# world 1 they are .2; in both, half of each group has label 1.

# %%
pair = CompositionPair.from_dict(
    {
        "world_0": {"f": {"0": "0.35", "1": "0.35"}, "m": {"0": "0.15", "1": "0.15"}},
        "world_1": {"f": {"0": "0.10", "1": "0.10"}, "m": {"0": "0.40", "1": "0.40"}},
    }
)
print("W =", pair.distance, " label shift =", pair.label_shift)

# %% [markdown]
# A model is a channel: the chance of each output for each group and label. This one accepts 60 % of qualified women and
# 80 % of qualified men, and 20 % of the others whatever their group.

# %%
channel = Channel(
    groups=("f", "m"),
    labels=(0, 1),
    outputs=(0, 1),
    rates=(((F(4, 5), F(1, 5)), (F(2, 5), F(3, 5))), ((F(4, 5), F(1, 5)), (F(1, 5), F(4, 5)))),
)
disparities: Disparities = channel.disparities()
print("disparity by label:", *disparities.per_label, " Delta_EO =", disparities.equalized_odds)

# %% [markdown]
# The best test's advantage is the total variation between what the adversary sees in the two worlds. It depends on
# what is shown: the prediction with the label, whether the prediction is right, or the prediction alone.

# %%
for name in ("labelled", "correctness", "unlabelled"):
    print(f"{name:12} advantage {get_game(name).advantage(pair, channel)}")

# %% [markdown]
# ## The bound is an equality (T1, T2)
#
# Over all models with these disparities the largest advantage is `TV_Y + sum_y m_y delta_y`: the label shift, plus, for
# each label, the mass that moves between groups times the disparity. Three ways to the same number: the closed form, an
# exact linear programme, and a model that reaches it.

# %%
bound = worst_case_advantage(pair, disparities.per_label)
programme = worst_case_by_lp(pair, disparities.per_label)
extreme = witness(pair, disparities.per_label)
print("closed form:", bound.value, " linear programme:", programme, " witness replayed:", extreme.replay())
assert bound.value == programme == extreme.replay()

# %% [markdown]
# Here labels are spread alike in both worlds, and `Delta_EO * W` is a bound too: never below the exact value.

# %%
form = paper_bound(pair, disparities.per_label)
print("Delta_EO * W =", form.value, ">= exact", bound.value)

# %% [markdown]
# ## Where it breaks (C1)
#
# arXiv:2606.01719 states `Adv <= Delta_EO * W` in its abstract without assumptions. We hold no full text, and its
# theorem may carry assumptions that we cannot see. Taken as the abstract puts it, it fails as soon as the base rates
# differ: a classifier that says "yes" to everyone is perfectly fair, and its accuracy is the base rate.

# %%
constant = constant_classifier_counterexample(F(1, 4), F(2, 3))
print("Delta_EO =", constant.channel.disparities().equalized_odds, " accuracy gap =", constant.replay())

# %% [markdown]
# The exact value carries the label shift as a term of its own; the published form does not see it.

# %%
shifts = [F(k, 40) for k in range(17)]
exact, published = [], []
for shift in shifts:
    half = F(1, 2)
    shifted = CompositionPair.from_dict(
        {
            "world_0": {"f": {"0": str(half + shift / 2), "1": str(half - shift / 2)}},
            "world_1": {"m": {"0": str(half - shift / 2), "1": str(half + shift / 2)}},
        }
    )
    exact.append(float(worst_case_advantage(shifted, (F(1, 10), F(1, 10))).value))
    published.append(float(F(1, 10) * shifted.distance))
figure, axes = plt.subplots(figsize=(5, 3), layout="constrained")
axes.plot([float(s) for s in shifts], exact, marker="o", label="exact worst case (T1)")
axes.plot([float(s) for s in shifts], published, linestyle="--", label="Delta_EO * W")
axes.set(xlabel="label shift TV_Y", ylabel="advantage", title="Delta_EO = .1, pure groups")
axes.legend()

# %% [markdown]
# ## One draw is not many
#
# The bound is about one draw. With many independent draws the advantage grows towards 1: a small bound per draw is no
# promise about a log of thousands.

# %%
for target in ("0.5", "0.9", "0.99"):
    print(f"draws until the advantage may reach {target}: {draws_needed(bound.value, target)}")
