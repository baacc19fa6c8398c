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
# # SPIN on a small language model
#
# Teaching a language model about privacy can make it worse at fairness, and the reverse. SPIN (arXiv:2410.16672, ACL
# 2025) trains nothing: it finds the weights that matter to both and not to general ability, and sets them to zero.
# Here is the whole method on SmolLM2-135M, small enough for a laptop. Whether it *helps* on this model is another
# question, and docs/spin.md answers it with a protocol, controls and intervals; eight questions cannot.

# %%
from fairbound.bounds.information import prove_information_inequality
from fairbound.empirical.spin.calibration import jaccard
from fairbound.empirical.spin.data import calibration_draw, reference_pairs, reference_questions
from fairbound.empirical.spin.edit import SpinEdit
from fairbound.empirical.spin.evaluation import GenerationSettings, fingerprint, generate_answers, perplexity
from fairbound.empirical.spin.importance import importance
from fairbound.empirical.spin.layers import target_layers
from fairbound.empirical.spin.models import load_model
from fairbound.empirical.spin.phrases import PhraseJudge
from fairbound.empirical.spin.selection import matched_control, select, selected_count
from fairbound.empirical.spin.statistics import awareness_rate

language_model = load_model()
print(language_model.name)

# %% [markdown]
# ## Which weights matter to what
#
# `I(W; D) = |W| * sum |dL/dW|` over a set of prompts and responses, for every weight of the MLPs, in one backward
# pass per sample. SPIN uses 128 samples of each set; four show the mechanism. The sets are in no wheel:
# `FAIRBOUND_DATA` names the folder that holds them in `spin/`; they are published at <https://github.com/ChnQ/SPIN>,
# folder `src/data`.

# %%
PAIRS = {name: reference_pairs(name) for name in ("general", "fairness_safe", "privacy_safe")}


def scores_of(seed):
    return [importance(language_model, calibration_draw(pairs, n=4, seed=seed)) for pairs in PAIRS.values()]


coupled = select(*scores_of(seed=0), p=1e-4, q=1e-4)
total = sum(layer.weight.numel() for layer in target_layers(language_model.model).values())
print(f"{selected_count(coupled):,} of {total:,} weights are coupled")

# %% [markdown]
# The selection depends on the draw: another four samples of each set share few of these weights. A result that rests
# on one draw is a result about that draw.

# %%
again = select(*scores_of(seed=1), p=1e-4, q=1e-4)
print(f"overlap of two draws (Jaccard index): {jaccard(coupled, again):.2f}")

# %% [markdown]
# ## The edit, and back
#
# An edit is a small file: which weights, and what stood there. Undoing it restores every bit, and it refuses any
# other model.

# %%
edit = SpinEdit.of(language_model, coupled)
before = fingerprint(language_model.model)
edit.apply(language_model.model)
assert fingerprint(language_model.model) != before
edit.undo(language_model.model)
assert fingerprint(language_model.model) == before
print("undone, bit for bit")

# %% [markdown]
# ## What it does
#
# Beside the edit stands a control: as many *other* weights of like magnitudes. What the control does as well is not
# the coupling's doing.

# %%
questions = reference_questions("privacy").draw(4, "choose") + reference_questions("fairness").draw(4, "choose")
held_out = PAIRS["general"][-8:]
control = SpinEdit.of(language_model, matched_control(target_layers(language_model.model), coupled, seed=0))
judge = PhraseJudge("inability")
settings = GenerationSettings(max_new_tokens=24)

for name, change in (("model itself", None), ("SPIN", edit), ("control", control)):
    if change is not None:
        change.apply(language_model.model)
    answers = [answer.answer for answer in generate_answers(language_model, questions, settings=settings)]
    print(
        f"{name}: {perplexity(language_model, held_out)}; declines: {awareness_rate(judge.judge(questions, answers))}"
    )
    print("   ", questions[0], "->", answers[0])
    if change is not None:
        change.undo(language_model.model)

# %% [markdown]
# With eight questions the interval spans most of [0, 1]. `fairbound spin --demo` asks a hundred and twenty,
# `fairbound spin --protocol study` chooses among settings on one half of the questions and reports on the other. No
# theorem covers zeroed weights: T10 is about the *information* in a coupled component (its cost, exactly), not about
# what a network does without some of its weights.

# %%
print(prove_information_inequality("I(X,Z;Y,Z) - I(X;Y)"))
