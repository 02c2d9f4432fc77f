"""Generated C with one mistake each, of the kinds that people make: a check that is worth its name finds them all."""

from __future__ import annotations

import re
from typing import NamedTuple


class Mutant(NamedTuple):
    """A mistake.

    Args:
        name: What is wrong.
        right: A piece of ``model.c`` as it is written, with the prefix ``snn``.
        wrong: The same with the mistake.
    """

    name: str
    right: str
    wrong: str

    def apply(self, source: str) -> str | None:
        """The source with the mistake; None if the piece is not in it."""
        return source.replace(self.right, self.wrong) if self.right in source else None


class PatternMutant(NamedTuple):
    """A mistake in text that differs from model to model.

    Args:
        name: What is wrong.
        right: A regular expression for a piece of ``model.c``.
        wrong: What takes its place, with groups as ``re.sub`` names them.
    """

    name: str
    right: str
    wrong: str

    def apply(self, source: str) -> str | None:
        """The source with the mistake; None if no piece is in it."""
        wrong, count = re.subn(self.right, self.wrong, source)
        return wrong if count else None


AnyMutant = Mutant | PatternMutant

MUTANTS = (
    Mutant("fires above the threshold, not at it", "snn_margin best = -1;", "snn_margin best = 0;"),
    Mutant("the last of equals wins", "& 1u) == 0 && margin > best", "& 1u) == 0 && margin >= best && margin >= 0"),
    Mutant("a shift by one bit more", "charged >>= SNN_DROP;", "charged >>= SNN_DROP + 1;"),
    Mutant("division instead of a shift", "charged >>= SNN_DROP;", "charged /= (snn_charged)1 << SNN_DROP;"),
    Mutant("no saturation above", "charged > SNN_HIGHEST ? SNN_HIGHEST : charged", "charged"),
    Mutant("no saturation below", "charged < SNN_LOWEST ? SNN_LOWEST : charged >", "charged >"),
    Mutant(
        "saturation one code early",
        "charged > SNN_HIGHEST ? SNN_HIGHEST",
        "charged > SNN_HIGHEST - 1 ? SNN_HIGHEST - 1",
    ),
    Mutant("no decay", "+ SNN_DECAYED(membranes[k])", "+ SNN_DECAYED(0 - SNN_LOWEST)"),
    Mutant("inhibition twice", "membrane(state, j) - SNN_INHIBITION;", "membrane(state, j) - 2 * SNN_INHIBITION;"),
    Mutant("inhibition does not saturate", "u < SNN_LOWEST ? SNN_LOWEST : u", "u"),
    Mutant("no reset", "snn_set_membrane(state, winner, SNN_RESET);", ""),
    Mutant(
        "the last neuron is not inhibited",
        "for (j = 0; j < SNN_NEURONS; j++) {\n        int32_t u",
        "for (j = 0; j + 1u < SNN_NEURONS; j++) {\n        int32_t u",
    ),
    Mutant("no refractory steps", "if ((held & 1u) != 0) {", "if (0) {"),
    Mutant(
        "one refractory step less",
        "for (k = 0; k < SNN_REFRACTORY_STEPS; k++) {\n        uint32_t",
        "for (k = 1; k < SNN_REFRACTORY_STEPS; k++) {\n        uint32_t",
    ),
    Mutant("held neurons compete", "(held[block] >> k & 1u) == 0 && margin", "margin"),
    Mutant(
        "held neurons are not inhibited",
        "snn_set_membrane(state, j, u < SNN_LOWEST ? SNN_LOWEST : u);",
        "if (j % 2u != 0) {\n            snn_set_membrane(state, j, u < SNN_LOWEST ? SNN_LOWEST : u);\n        }",
    ),
    Mutant("only the last spike is remembered", "state->step % SNN_REFRACTORY_STEPS *", "0u *"),
    Mutant("packing across words loses bits", "word = code >> (32u - used);", "word = 0;"),
    Mutant("unpacking across words loses bits", "(rest | word << left)", "(rest)"),
    Mutant("writing across words loses bits", "| value >> (32u - shift)", "| value >> (31u - shift)"),
    Mutant(
        "reading across words loses bits",
        "width - 1u) / 32u] << (32u - shift);",
        "width - 1u) / 32u] << (31u - shift);",
    ),
    Mutant("a carry is lost", "carry &= digit;", "carry = 0;"),
    Mutant("a full adder forgets a carry", "(*a & b) | (half & c)", "(*a & b)"),
    Mutant(
        "rows that are left over are not added",
        "for (first = 0; first < coding.count; first++) {",
        "for (first = 1; first < coding.count; first++) {",
    ),
    Mutant(
        "planes of weights in the other order",
        "snn_add_four(state->sums[block] + plane,",
        "snn_add_four(state->sums[block] + (SNN_WEIGHT_BITS - 1u - plane),",
    ),
    Mutant(
        "the last block in the other order",
        "sums[SNN_BLOCKS - 1u] + plane, snn_last_word(input, plane)",
        "sums[SNN_BLOCKS - 1u] + plane, snn_last_word(input, SNN_WEIGHT_BITS - 1u - plane)",
    ),
    Mutant(
        "the next row of weights",
        "snn_weights + input * SNN_ROW",
        "snn_weights + (input == 0 ? 1u : input - 1u) * SNN_ROW",
    ),
    Mutant("the smallest weight is forgotten", "(snn_charged)events * SNN_LOWEST_WEIGHT", "0 * (snn_charged)events"),
    Mutant("the scale of the neuron before", "(snn_charged)scales[k]", "(snn_charged)scales[k ^ 1u]"),
    Mutant(
        "theta of the neuron before",
        "snn_read(snn_theta, neuron * SNN_THETA_BITS",
        "snn_read(snn_theta, (neuron ^ (neuron < (SNN_NEURONS & ~1u))) * SNN_THETA_BITS",
    ),
    Mutant(
        "blocks are skipped that could win",
        "SNN_SMALLEST_THETA * SNN_THETA_UNIT <= best",
        "SNN_SMALLEST_THETA * SNN_THETA_UNIT <= best + 1",
    ),
    Mutant(
        "sums over 8 bits are cut", "for (low = 8; low < levels; low += 8u) {", "for (low = 8; low < 1u; low += 8u) {"
    ),
    Mutant("sixteen neurons twice", "digits[levels] = digit >> 16;", "digits[levels] = digit >> 15;"),
    Mutant("dropped pixels are numbered", "if ((kept >> (k) & 1u) != 0) {", "if (kept != 0) {"),
    Mutant("dark pixels are numbered", "if (pixel[k] != 0) {", "if (kept != 0) {"),
    Mutant("a chance too large by one", "< SNN_CHANCE(value)", "<= SNN_CHANCE(value)"),
    Mutant("lanes from the highest", "(uint32_t)(coding->draw & 0xFFFFu)", "(uint32_t)(coding->draw >> 48)"),
    Mutant("draws do not go on", "key += 4u * SNN_GOLDEN;", "key += SNN_GOLDEN;"),
    Mutant("the lower half of a draw", "(uint32_t)((z ^ z >> 31) >> 32)", "(uint32_t)(z ^ z >> 31)"),
    Mutant("draws of the neuron before", "+ 32u * block * SNN_GOLDEN", "+ (32u * block + 1u) * SNN_GOLDEN"),
    Mutant(
        "draws do not depend on the step",
        "snn_mix(purpose + sample * SNN_GOLDEN) + step *",
        "snn_mix(purpose + sample * SNN_GOLDEN) + 0 * step *",
    ),
    Mutant(
        "draws do not depend on the sample",
        "snn_mix(purpose + sample * SNN_GOLDEN)",
        "snn_mix(purpose + 0 * sample * SNN_GOLDEN)",
    ),
    Mutant("another multiplier of the draws", "0x94D049BB133111EB", "0x94D049BB133111E9"),
    Mutant(
        "the label of the neuron before",
        "snn_read(snn_labels, neuron * SNN_LABEL_BITS",
        "snn_read(snn_labels, (neuron == 0 ? 0 : neuron - 1u) * SNN_LABEL_BITS",
    ),
    Mutant(
        "sums of spikes instead of means", "total * best_neurons > best_total * neurons[label]", "total > best_total"
    ),
    Mutant(
        "the last of equal classes",
        "total * best_neurons > best_total * neurons[label]",
        "neurons[label] > 0 && total * best_neurons >= best_total * neurons[label]",
    ),
    Mutant("a reset forgets the membranes", "snn_set_membrane(state, j, 0);", ""),
    Mutant("a reset forgets who is held", "SNN_HELD_BITS, SNN_NEURONS);", "SNN_HELD_BITS, 0);"),
    Mutant(
        "a reset forgets the spikes of the classes", "state->totals[j] = 0;", "state->totals[j] = (uint16_t)(j == 0);"
    ),
    Mutant("one step less", "for (t = 0; t < SNN_STEPS; t++) {", "for (t = 1; t < SNN_STEPS; t++) {"),
)
"""In what a microcontroller runs, or both."""

UNPACKED_MUTANTS = (
    Mutant("a word of weights of the block before", "(SNN_NEURONS / 32u) + block) *", "(SNN_NEURONS / 32u)) *"),
    Mutant("planes of weights in the other order", "& 1u) << plane);", "& 1u) << (SNN_WEIGHT_BITS - 1u - plane));"),
    Mutant("weights of the neuron before", "word >> j % 32u & 1u", "word >> (j + 31u) % 32u & 1u"),
    Mutant(
        "scales of the neuron before",
        "(snn_charged)snn_read(snn_scale, k *",
        "(snn_charged)snn_read(snn_scale, (k == 0 ? 0 : k - 1u) *",
    ),
    Mutant("theta of the neuron before", "snn_raised(k);", "snn_raised(k == 0 ? 0 : k - 1u);"),
    Mutant("a block of membranes stays as it was", "block < SNN_BLOCKS; block++", "block + 1u < SNN_BLOCKS; block++"),
    Mutant(
        "dropped pixels are numbered",
        "if (value != 0 && is_input != 0) {\n            wide",
        "if (value != 0) {\n            wide",
    ),
    Mutant(
        "dark pixels are numbered",
        "if (value != 0 && is_input != 0) {\n            wide",
        "if (is_input != 0) {\n            wide",
    ),
    Mutant(
        "an input for each pixel", "        input += is_input;\n    }\n    wide", "        input++;\n    }\n    wide"
    ),
    Mutant(
        "inputs beyond the last have a chance",
        "wide->chances[lit + block] = 0;",
        "wide->chances[lit + block] = 65535u;",
    ),
    Mutant(
        "draws of the group before", "snn_mix(key + first * SNN_GOLDEN)", "snn_mix(key + (first & ~7u) * SNN_GOLDEN)"
    ),
    Mutant("draws do not go on", "snn_mix(key + first * SNN_GOLDEN)", "snn_mix(key)"),
    Mutant("lanes from the highest", "count += (uint32_t)(draw & 0xFFFFu) <", "count += (uint32_t)(draw >> 48) <"),
    Mutant("a chance too large by one", "(draw & 0xFFFFu) < wide", "(draw & 0xFFFFu) <= wide"),
    Mutant("the last of four rows twice", "part[j] + a[j] + b[j] + c[j] + d[j]", "part[j] + a[j] + b[j] + d[j] + d[j]"),
    Mutant("rows that are left over are not added", "for (; k < count; k++) {", "for (; k + 1u < count; k++) {"),
    Mutant("parts overlap", "first += SNN_PART) {", "first += SNN_PART / 2u + 1u) {"),
    Mutant("a part for all rows", "count - first < SNN_PART ? count - first : SNN_PART", "count - first"),
    Mutant("the last part alone", "sums[j] += part[j];", "sums[j] = part[j];"),
    Mutant("the smallest weight is forgotten", "(snn_charged)events * SNN_LOWEST_WEIGHT", "0 * (snn_charged)events"),
    Mutant("no scale", "((current) * snn_wide.scales[k])", "(current)"),
    Mutant("no decay", "charged += SNN_DECAYED(membranes[k]);", "charged += SNN_DECAYED(0 - SNN_LOWEST);"),
    Mutant("draws of the neuron before", "snn_mix(key + k * SNN_GOLDEN)", "snn_mix(key + (k + 1u) * SNN_GOLDEN)"),
    Mutant(
        "the lower half of a draw",
        "(uint32_t)(snn_mix(key + k * SNN_GOLDEN) >> 32)",
        "(uint32_t)snn_mix(key + k * SNN_GOLDEN)",
    ),
    Mutant("no saturation above", "charged > SNN_HIGHEST ? SNN_HIGHEST : charged", "charged"),
    Mutant("no saturation below", "charged < SNN_LOWEST ? SNN_LOWEST : charged >", "charged >"),
    Mutant("no theta", "snn_over(membranes[j]) - snn_wide.thetas[j]", "snn_over(membranes[j])"),
    Mutant("fires above the threshold, not at it", "snn_margin best = -1;", "snn_margin best = 0;"),
    Mutant("fires always", "for (j = 0; best >= 0; j++) {", "for (j = 0; j < SNN_NEURONS; j++) {"),
    Mutant(
        "the last neuron does not compete",
        "best = margins[j] > best ? margins[j] : best;",
        "best = margins[j] > best && j + 1u < SNN_NEURONS ? margins[j] : best;",
    ),
    Mutant(
        "the second of equals wins",
        "if (margins[j] == best) {\n            return j;",
        "if (margins[j] == best) {\n            return j + 1u < SNN_NEURONS && margins[j + 1u] == best ? j + 1u : j;",
    ),
    Mutant("no refractory steps", "membranes[held[j]] = kept[j];", ""),
    Mutant("held neurons compete", "margins[held[j]] = -1;", ""),
    Mutant(
        "inhibition twice", "(int32_t)membranes[j] - SNN_INHIBITION;", "(int32_t)membranes[j] - 2 * SNN_INHIBITION;"
    ),
    Mutant("inhibition does not saturate", "inhibited < 0 ? 0 : (uint32_t)inhibited", "(uint32_t)inhibited"),
    Mutant("no reset", "membranes[winner] = (uint32_t)(SNN_RESET - SNN_LOWEST);", ""),
    Mutant("no spike inhibits", "snn_fire(wide->membranes, winner);", ""),
    Mutant("membranes are not written back", "snn_narrow(&wide, state);", ""),
    Mutant(
        "one step less in a run",
        "for (t = 0; t < SNN_STEPS; t++) {\n        snn_wide",
        "for (t = 1; t < SNN_STEPS; t++) {\n        snn_wide",
    ),
)
"""In what a computer runs: code that is compiled with SNN_UNPACKED."""
