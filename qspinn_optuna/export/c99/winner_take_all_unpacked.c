/* ---- The strategy of a computer: loops that a compiler turns into vector instructions. ---- */

#define SNN_ROWS @rows@
/* As many rows as a narrow type sums: then they are added to sums of a wide one. */
#define SNN_PART @part@
typedef @weight_type@ snn_wide_weight;
typedef @part_type@ snn_part;

/* Weights less the smallest code, scales, and thetas in units of a margin: unpacked once, by the first step. */
static struct {
    uint32_t is_filled;
    snn_wide_weight weights[SNN_ROWS][SNN_NEURONS];
#if SNN_SCALES
    snn_charged scales[SNN_NEURONS];
#endif
    snn_margin thetas[SNN_NEURONS];
} snn_wide;

/* What changes, unpacked: while samples are classified, and in a step. */
typedef struct {
    /* Membranes less the smallest code. */
    uint32_t membranes[32u * SNN_BLOCKS];
    /* The inputs whose pixel is not 0, and their chances of a spike. Three more have no chance. */
    uint32_t lit;
    uint32_t inputs[SNN_ROWS + 3u];
    uint32_t chances[SNN_ROWS + 3u];
} snn_wide_state;

/* A word of packed weights: bit `plane` of those of a block. */
static uint32_t snn_weight_word(uint32_t input, uint32_t block, uint32_t plane)
{
#if SNN_NEURONS % 32 != 0
    if (block == SNN_BLOCKS - 1u) {
        return snn_last_word(input, plane);
    }
#endif
#if SNN_NEURONS >= 32
    return snn_weights[(input * (SNN_NEURONS / 32u) + block) * SNN_WEIGHT_BITS + plane];
#else
    return 0;
#endif
}

static void snn_widen_weights(uint32_t input)
{
    uint32_t plane, j;
    for (plane = 0; plane < SNN_WEIGHT_BITS; plane++) {
        for (j = 0; j < SNN_NEURONS; j++) {
            uint32_t word = snn_weight_word(input, j / 32u, plane);
            snn_wide.weights[input][j] |= (snn_wide_weight)((word >> j % 32u & 1u) << plane);
        }
    }
}

static void snn_widen_constants(void)
{
    uint32_t k;
    if (snn_wide.is_filled != 0) {
        return;
    }
    for (k = 0; k < SNN_ROWS; k++) {
        snn_widen_weights(k);
    }
    for (k = 0; k < SNN_NEURONS; k++) {
#if SNN_SCALES
        snn_wide.scales[k] = (snn_charged)snn_read(snn_scale, k * SNN_SCALE_BITS, SNN_SCALE_BITS) + SNN_LOWEST_SCALE;
#endif
        snn_wide.thetas[k] = snn_raised(k);
    }
    snn_wide.is_filled = 1;
}

/* The membranes of a state, and what an image lights. */
static void snn_widen(const snn_state *state, const snn_input *image, snn_wide_state *wide)
{
    uint32_t block, pixel, input = 0, lit = 0;
    for (block = 0; block < SNN_BLOCKS; block++) {
        uint32_t words = snn_words(snn_block_size(block), SNN_MEMBRANE_BITS);
        snn_unpack(state->membranes + block * SNN_MEMBRANE_BITS, words, SNN_MEMBRANE_BITS,
                   wide->membranes + 32u * block);
    }
    for (pixel = 0; pixel < SNN_INPUTS; pixel++) {
        uint32_t value = image[pixel], is_input = snn_kept_of(pixel & ~31u) >> pixel % 32u & 1u;
        if (value != 0 && is_input != 0) {
            wide->inputs[lit] = input;
            wide->chances[lit++] = SNN_CHANCE(value);
        }
        input += is_input;
    }
    wide->lit = lit;
    for (block = 0; block < 3u; block++) {
        wide->inputs[lit + block] = 0;
        wide->chances[lit + block] = 0;
    }
}

static void snn_narrow(const snn_wide_state *wide, snn_state *state)
{
    uint32_t block;
    for (block = 0; block < SNN_BLOCKS; block++) {
        uint32_t words = snn_words(snn_block_size(block), SNN_MEMBRANE_BITS);
        snn_pack(state->membranes + block * SNN_MEMBRANE_BITS, words, SNN_MEMBRANE_BITS, wide->membranes + 32u * block);
    }
}

/* The inputs that spike; gives their number. Four share a draw of 64 bits, 16 bits each, the first the lowest. There is
 * no branch: which of them spike cannot be predicted. */
static uint32_t snn_list_events(const snn_state *state, const snn_wide_state *wide, uint32_t *events)
{
    uint64_t key = snn_stream(SNN_INPUT_KEY, state->sample, state->step);
    uint32_t first, k, count = 0;
    for (first = 0; first < wide->lit; first += 4u) {
        uint64_t draw = snn_mix(key + first * SNN_GOLDEN);
        for (k = 0; k < 4u; k++) {
            events[count] = wide->inputs[first + k];
            count += (uint32_t)(draw & 0xFFFFu) < wide->chances[first + k];
            draw >>= 16;
        }
    }
    return count;
}

/* part[j] <- the sum of the weights of so few inputs that the type holds it. */
static void snn_sum_part(const uint32_t *events, uint32_t count, snn_part *restrict part)
{
    uint32_t k, j;
    for (j = 0; j < SNN_NEURONS; j++) {
        part[j] = 0;
    }
    for (k = 0; k + 4u <= count; k += 4u) {
        const snn_wide_weight *a = snn_wide.weights[events[k]], *b = snn_wide.weights[events[k + 1u]];
        const snn_wide_weight *c = snn_wide.weights[events[k + 2u]], *d = snn_wide.weights[events[k + 3u]];
        for (j = 0; j < SNN_NEURONS; j++) {
            part[j] = (snn_part)(part[j] + a[j] + b[j] + c[j] + d[j]);
        }
    }
    for (; k < count; k++) {
        const snn_wide_weight *row = snn_wide.weights[events[k]];
        for (j = 0; j < SNN_NEURONS; j++) {
            part[j] = (snn_part)(part[j] + row[j]);
        }
    }
}

/* sums[j] <- the sum of the weights of all inputs that spike. */
static void snn_sum_rows(const uint32_t *events, uint32_t count, snn_sum *restrict sums)
{
    snn_part part[SNN_NEURONS];
    uint32_t first, j;
    for (j = 0; j < SNN_NEURONS; j++) {
        sums[j] = 0;
    }
    for (first = 0; first < count; first += SNN_PART) {
        snn_sum_part(events + first, count - first < SNN_PART ? count - first : SNN_PART, part);
        for (j = 0; j < SNN_NEURONS; j++) {
            sums[j] += part[j];
        }
    }
}

#if SNN_SCALES
#define SNN_SCALED(current, k) ((current) * snn_wide.scales[k])
#else
#define SNN_SCALED(current, k) (current)
#endif

/* The membranes after a step, u[j] <- R(decay * u[j] + scale[j] * current[j]), as if no neuron were held. */
static void snn_charge(const snn_state *state, const snn_sum *restrict sums, uint32_t events,
                       uint32_t *restrict membranes)
{
    snn_charged lowest_current = (snn_charged)events * SNN_LOWEST_WEIGHT;
    uint32_t k;
#if SNN_STOCHASTIC
    uint64_t key = snn_stream(SNN_MEMBRANE_KEY, state->sample, state->step);
    uint32_t draws[SNN_NEURONS];
    for (k = 0; k < SNN_NEURONS; k++) {
        draws[k] = (uint32_t)(snn_mix(key + k * SNN_GOLDEN) >> 32);
    }
#else
    (void)state;
#endif
    for (k = 0; k < SNN_NEURONS; k++) {
        snn_charged charged = SNN_SCALED((snn_charged)sums[k] + lowest_current, k) * SNN_CURRENT_UNIT;
        charged += SNN_DECAYED(membranes[k]);
#if SNN_STOCHASTIC
        charged += SNN_FRACTION(draws[k]);
#endif
        membranes[k] = snn_stored(charged);
    }
}

/* The first of the neurons with the largest margin that is not negative; SNN_NEURONS if there is none. */
static uint32_t snn_first_of_largest(const snn_margin *margins)
{
    snn_margin best = -1;
    uint32_t j;
    for (j = 0; j < SNN_NEURONS; j++) {
        best = margins[j] > best ? margins[j] : best;
    }
    for (j = 0; best >= 0; j++) {
        if (margins[j] == best) {
            return j;
        }
    }
    return SNN_NEURONS;
}

/* Charge all neurons, put back the membranes of those that are held, and let the others compete: gives the winner as
 * snn_first_of_largest. */
static uint32_t snn_compete(const snn_state *state, const snn_sum *sums, uint32_t events, uint32_t *membranes)
{
    snn_margin margins[SNN_NEURONS];
    uint32_t j;
#if SNN_REFRACTORY_STEPS > 0
    uint32_t held[SNN_REFRACTORY_STEPS], kept[SNN_REFRACTORY_STEPS];
    for (j = 0; j < SNN_REFRACTORY_STEPS; j++) {
        held[j] = snn_held_neuron(state, j);
        kept[j] = held[j] == SNN_NEURONS ? 0 : membranes[held[j]];
    }
#endif
    snn_charge(state, sums, events, membranes);
    for (j = 0; j < SNN_NEURONS; j++) {
        margins[j] = snn_over(membranes[j]) - snn_wide.thetas[j];
    }
#if SNN_REFRACTORY_STEPS > 0
    for (j = 0; j < SNN_REFRACTORY_STEPS; j++) {
        if (held[j] != SNN_NEURONS) {
            membranes[held[j]] = kept[j];
            margins[held[j]] = -1;
        }
    }
#endif
    return snn_first_of_largest(margins);
}

/* A spike takes SNN_INHIBITION from all membranes, saturating, and puts its own to SNN_RESET. */
static void snn_fire(uint32_t *membranes, uint32_t winner)
{
    uint32_t j;
    for (j = 0; j < SNN_NEURONS; j++) {
        int32_t inhibited = (int32_t)membranes[j] - SNN_INHIBITION;
        membranes[j] = inhibited < 0 ? 0 : (uint32_t)inhibited;
    }
    membranes[winner] = (uint32_t)(SNN_RESET - SNN_LOWEST);
}

static void snn_wide_step(snn_state *state, snn_wide_state *wide)
{
    uint32_t events[SNN_ROWS + 1u], winner;
    snn_sum sums[SNN_NEURONS];
    uint32_t count = snn_list_events(state, wide, events);
    snn_sum_rows(events, count, sums);
    winner = snn_compete(state, sums, count, wide->membranes);
    if (winner != SNN_NEURONS) {
        snn_fire(wide->membranes, winner);
    }
    snn_end_step(state, winner);
}

void snn_step(snn_state *state, const snn_input *input)
{
    snn_wide_state wide;
    snn_widen_constants();
    snn_widen(state, input, &wide);
    snn_wide_step(state, &wide);
    snn_narrow(&wide, state);
}

/* All steps of a sample. */
static void snn_run(snn_state *state, const snn_input *input)
{
    snn_wide_state wide;
    uint32_t t;
    snn_widen_constants();
    snn_widen(state, input, &wide);
    for (t = 0; t < SNN_STEPS; t++) {
        snn_wide_step(state, &wide);
    }
    snn_narrow(&wide, state);
}
#define SNN_RUN snn_run
