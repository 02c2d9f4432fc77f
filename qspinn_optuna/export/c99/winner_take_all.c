/* ---- Constants. An array holds codes less the smallest code of its format. ---- */

@constants@
/* Types that hold the sums of weights, a charged membrane before bits are dropped, a margin, and spikes times neurons. */
typedef @sum_type@ snn_sum;
typedef @charged_type@ snn_charged;
typedef @margin_type@ snn_margin;
typedef @product_type@ snn_product;

@arrays@
/* Neurons of a block: 32, or what is left in the last one. */
static uint32_t snn_block_size(uint32_t block)
{
    return block + 1u < SNN_BLOCKS ? 32u : SNN_NEURONS - 32u * (SNN_BLOCKS - 1u);
}

/* ---- Rate coding: a pixel spikes with a chance that its value gives. ---- */

/* sums[j] += weight[i][j] for all neurons j, 32 at a time. The row of input i begins at `position`: for each block, a
 * word of a bit for each neuron, for each bit of the weights, the lowest first. A word is added like a column of
 * binary digits: its bit j is carried up the words that hold the digits of sum j. */
static void snn_add_row(snn_state *state, uint32_t position)
{
    uint32_t block, plane, level;
    for (block = 0; block < SNN_BLOCKS; block++) {
        uint32_t size = snn_block_size(block);
        for (plane = 0; plane < SNN_WEIGHT_BITS; plane++) {
            uint32_t carry = snn_read(snn_weights, position, size);
            position += size;
            for (level = plane; carry != 0; level++) {
                uint32_t digit = state->sums[block][level];
                state->sums[block][level] = digit ^ carry;
                carry &= digit;
            }
        }
    }
}

/* Sum the weights of the inputs that spike; gives the number of these inputs.
 * The kept pixels that are not 0 are numbered. Four share a draw of 64 bits, 16 bits each, the first the lowest. */
static uint32_t snn_encode(snn_state *state, const snn_input *image)
{
    uint64_t key = snn_stream(SNN_INPUT_KEY, state->sample, state->step);
    uint64_t draw = 0;
    uint32_t pixel, block, level, position = 0, lit = 0, events = 0;
    for (block = 0; block < SNN_BLOCKS; block++) {
        for (level = 0; level < SNN_LEVELS; level++) {
            state->sums[block][level] = 0;
        }
    }
    for (pixel = 0; pixel < SNN_INPUTS; pixel++) {
        uint32_t value = image[pixel];
#if SNN_DROPS_PIXELS
        if (snn_read(snn_kept, pixel, 1u) == 0) {
            continue;
        }
#endif
        if (value != 0) {
            if (lit % 4u == 0) {
                draw = snn_mix(key);
                key += 4u * SNN_GOLDEN;
            }
            if ((uint32_t)(draw & 0xFFFFu) < SNN_CHANCE(value)) {
                snn_add_row(state, position);
                events++;
            }
            draw >>= 16;
            lit++;
        }
        position += SNN_NEURONS * SNN_WEIGHT_BITS;
    }
    return events;
}

/* ---- The layer ---- */

/* The 32 sums of a block as numbers, of their lowest `levels` bits. A product spreads four bits to the lowest bits of
 * four bytes, so that eight words become four sums at a time. */
static void snn_unslice(const uint32_t *digits, uint32_t levels, snn_sum *sums)
{
    uint32_t first, low, level, k;
    for (first = 0; first < 32u; first += 4u) {
        for (k = first; k < first + 4u; k++) {
            sums[k] = 0;
        }
        for (low = 0; low < levels; low += 8u) {
            uint32_t bytes = 0;
            for (level = low; level < levels && level < low + 8u; level++) {
                bytes |= ((digits[level] >> first & 0xFu) * 0x00204081u & 0x01010101u) << (level - low);
            }
            for (k = first; k < first + 4u; k++) {
                sums[k] += (snn_sum)(bytes & 0xFFu) << low;
                bytes >>= 8;
            }
        }
    }
}

#if SNN_REFRACTORY_STEPS > 0
/* The neurons of a block that spiked in the last SNN_REFRACTORY_STEPS steps, a bit each. */
static uint32_t snn_held(const snn_state *state, uint32_t block)
{
    uint32_t k, held = 0;
    for (k = 0; k < SNN_REFRACTORY_STEPS; k++) {
        uint32_t neuron = snn_read(state->held, k * SNN_HELD_BITS, SNN_HELD_BITS);
        if (neuron / 32u == block) {
            held |= UINT32_C(1) << neuron % 32u;
        }
    }
    return held;
}
#endif

static int32_t snn_membrane(const snn_state *state, uint32_t neuron)
{
    return (int32_t)snn_read(state->membranes, neuron * SNN_MEMBRANE_BITS, SNN_MEMBRANE_BITS) + SNN_LOWEST;
}

static void snn_set_membrane(snn_state *state, uint32_t neuron, int32_t u)
{
    snn_write(state->membranes, neuron * SNN_MEMBRANE_BITS, SNN_MEMBRANE_BITS, (uint32_t)(u - SNN_LOWEST));
}

/* u[j] <- R(decay * u[j] + scale[j] * current[j]), R the rounding and saturation of a membrane, for the neurons j that
 * are not held. Gives the first of those with the largest margin u[j] - threshold - theta[j] that is not negative;
 * SNN_NEURONS if there is none. */
static uint32_t snn_charge(snn_state *state, uint32_t events)
{
#if SNN_STOCHASTIC
    uint64_t key = snn_stream(SNN_MEMBRANE_KEY, state->sample, state->step);
#endif
    snn_sum sums[32];
    snn_sum largest = (snn_sum)events * SNN_LARGEST_WEIGHT;
    snn_margin best = -1;
    uint32_t winner = SNN_NEURONS;
    uint32_t block, k, levels = 0;
    while (levels < SNN_LEVELS && largest >> levels != 0) {
        levels++;
    }
    for (block = 0; block < SNN_BLOCKS; block++) {
        uint32_t size = snn_block_size(block);
#if SNN_REFRACTORY_STEPS > 0
        uint32_t held = snn_held(state, block);
#endif
        snn_unslice(state->sums[block], levels, sums);
        for (k = 0; k < size; k++) {
            uint32_t j = 32u * block + k;
            snn_charged charged;
            snn_margin margin;
            int32_t u;
#if SNN_REFRACTORY_STEPS > 0
            if ((held >> k & 1u) != 0) {
                continue;
            }
#endif
            charged = (snn_charged)sums[k] + (snn_charged)events * SNN_LOWEST_WEIGHT;
#if SNN_SCALES
            charged *= (snn_charged)snn_read(snn_scale, j * SNN_SCALE_BITS, SNN_SCALE_BITS) + SNN_LOWEST_SCALE;
#endif
            charged = charged * SNN_CURRENT_UNIT + (snn_charged)snn_membrane(state, j) * SNN_DECAY + SNN_HALF;
#if SNN_STOCHASTIC
            charged += SNN_FRACTION((uint32_t)(snn_mix(key + j * SNN_GOLDEN) >> 32));
#endif
            charged >>= SNN_DROP;
            u = (int32_t)(charged < SNN_LOWEST ? SNN_LOWEST : charged > SNN_HIGHEST ? SNN_HIGHEST : charged);
            snn_set_membrane(state, j, u);
            margin = (snn_margin)snn_read(snn_theta, j * SNN_THETA_BITS, SNN_THETA_BITS) + SNN_LOWEST_THETA;
            margin = (snn_margin)(u - SNN_THRESHOLD) * SNN_MEMBRANE_UNIT - margin * SNN_THETA_UNIT;
            if (margin > best) {
                best = margin;
                winner = j;
            }
        }
    }
    return winner;
}

/* A spike takes SNN_INHIBITION from all membranes, saturating, and puts its own to SNN_RESET. */
static void snn_fire(snn_state *state, uint32_t winner)
{
    uint32_t j;
    for (j = 0; j < SNN_NEURONS; j++) {
        int32_t u = snn_membrane(state, j) - SNN_INHIBITION;
        snn_set_membrane(state, j, u < SNN_LOWEST ? SNN_LOWEST : u);
    }
    snn_set_membrane(state, winner, SNN_RESET);
    state->totals[snn_read(snn_labels, winner * SNN_LABEL_BITS, SNN_LABEL_BITS)]++;
}

void snn_reset(snn_state *state, uint64_t sample)
{
    uint32_t j;
    state->sample = sample;
    state->step = 0;
    state->winner = SNN_NEURONS;
    for (j = 0; j < SNN_NEURONS; j++) {
        snn_set_membrane(state, j, 0);
    }
#if SNN_REFRACTORY_STEPS > 0
    for (j = 0; j < SNN_REFRACTORY_STEPS; j++) {
        snn_write(state->held, j * SNN_HELD_BITS, SNN_HELD_BITS, SNN_NEURONS);
    }
#endif
    for (j = 0; j < SNN_CLASSES; j++) {
        state->totals[j] = 0;
    }
}

void snn_step(snn_state *state, const snn_input *input)
{
    uint32_t winner = snn_charge(state, snn_encode(state, input));
    if (winner != SNN_NEURONS) {
        snn_fire(state, winner);
    }
#if SNN_REFRACTORY_STEPS > 0
    snn_write(state->held, state->step % SNN_REFRACTORY_STEPS * SNN_HELD_BITS, SNN_HELD_BITS, winner);
#endif
    state->winner = winner;
    state->step++;
}

/* The class whose neurons spike most on average, the first of equals: a / b > c / d as a * d > c * b. */
uint8_t snn_answer(const snn_state *state)
{
    snn_product best_total = 0, best_neurons = 1;
    uint32_t label, j, answer = 0;
    for (label = 0; label < SNN_CLASSES; label++) {
        snn_product total = state->totals[label], neurons = 0;
        for (j = 0; j < SNN_NEURONS; j++) {
            neurons += snn_read(snn_labels, j * SNN_LABEL_BITS, SNN_LABEL_BITS) == label ? 1u : 0u;
        }
        if (total * best_neurons > best_total * neurons) {
            best_total = total;
            best_neurons = neurons;
            answer = label;
        }
    }
    return (uint8_t)answer;
}

void snn_observe(const snn_state *state, void (*see)(void *context, int32_t value), void *context)
{
    uint32_t j;
    see(context, state->winner == SNN_NEURONS ? -1 : (int32_t)state->winner);
    for (j = 0; j < SNN_NEURONS; j++) {
        see(context, snn_membrane(state, j));
    }
}
