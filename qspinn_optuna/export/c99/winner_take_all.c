/* ---- Constants. An array holds codes less the smallest code of its format. ---- */

@constants@
/* Types that hold the sums of weights, a charged membrane before bits are dropped, and a margin. */
typedef @sum_type@ snn_sum;
typedef @charged_type@ snn_charged;
typedef @margin_type@ snn_margin;

@arrays@
/* ---- The readout ---- */

@readout@
/* Neurons of a block: 32, or what is left in the last one. */
static uint32_t snn_block_size(uint32_t block)
{
    return block + 1u < SNN_BLOCKS ? 32u : SNN_NEURONS - 32u * (SNN_BLOCKS - 1u);
}

/* ---- Sums of weights. Numbers are written in columns: digits[l] holds bit l of 32 numbers. ---- */

/* Add a word: its bit j to number j, and carry. */
static void snn_add(uint32_t *digits, uint32_t carry)
{
    while (carry != 0) {
        uint32_t digit = *digits;
        *digits++ = digit ^ carry;
        carry &= digit;
    }
}

/* A full adder: the sum of three bits goes to `a`, and the carry is given. */
static uint32_t snn_add_three(uint32_t *a, uint32_t b, uint32_t c)
{
    uint32_t half = *a ^ b, carry = (*a & b) | (half & c);
    *a = half ^ c;
    return carry;
}

/* Add four words. */
static void snn_add_four(uint32_t *digits, uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    uint32_t ones = digits[0], twos = digits[1], fours;
    a = snn_add_three(&ones, a, b);
    c = snn_add_three(&ones, c, d);
    fours = snn_add_three(&twos, a, c);
    digits[0] = ones;
    digits[1] = twos;
    snn_add(digits + 2, fours);
}

#if SNN_NEURONS % 32 != 0
/* A word of the last block, which is shorter: there the bits of all rows follow each other. */
static uint32_t snn_last_word(uint32_t input, uint32_t plane)
{
    uint32_t position = (input * SNN_WEIGHT_BITS + plane) * (SNN_NEURONS % 32u);
    return snn_read(snn_last_weights, position, SNN_NEURONS % 32u);
}
#endif

#define SNN_ROW (SNN_NEURONS / 32u * SNN_WEIGHT_BITS)

/* sums[j] += weight[input][j] for all neurons j. A row has, for each block of 32 neurons, as many words as a weight has
 * bits, the lowest first; bit j of a word belongs to neuron j of the block. */
static void snn_add_row(snn_state *state, uint32_t input)
{
    uint32_t plane;
#if SNN_NEURONS >= 32
    const uint32_t *row = snn_weights + input * SNN_ROW;
    uint32_t block;
    for (block = 0; block < SNN_NEURONS / 32u; block++) {
        for (plane = 0; plane < SNN_WEIGHT_BITS; plane++) {
            snn_add(state->sums[block] + plane, *row++);
        }
    }
#endif
#if SNN_NEURONS % 32 != 0
    for (plane = 0; plane < SNN_WEIGHT_BITS; plane++) {
        snn_add(state->sums[SNN_BLOCKS - 1u] + plane, snn_last_word(input, plane));
    }
#endif
}

/* The same for four inputs at once. */
static void snn_add_four_rows(snn_state *state, const uint32_t *inputs)
{
    uint32_t plane;
#if SNN_NEURONS >= 32
    const uint32_t *a = snn_weights + inputs[0] * SNN_ROW, *b = snn_weights + inputs[1] * SNN_ROW;
    const uint32_t *c = snn_weights + inputs[2] * SNN_ROW, *d = snn_weights + inputs[3] * SNN_ROW;
    uint32_t block;
    for (block = 0; block < SNN_NEURONS / 32u; block++) {
        for (plane = 0; plane < SNN_WEIGHT_BITS; plane++) {
            snn_add_four(state->sums[block] + plane, *a++, *b++, *c++, *d++);
        }
    }
#endif
#if SNN_NEURONS % 32 != 0
    for (plane = 0; plane < SNN_WEIGHT_BITS; plane++) {
        snn_add_four(state->sums[SNN_BLOCKS - 1u] + plane, snn_last_word(inputs[0], plane),
                     snn_last_word(inputs[1], plane), snn_last_word(inputs[2], plane),
                     snn_last_word(inputs[3], plane));
    }
#endif
}

/* Four bits to the lowest bits of four bytes: the product has bit k at 8 * k, among others. */
#define SNN_SPREAD(bits) (((bits) & 0xFu) * 0x00204081u & 0x01010101u)

/* Sixteen of the numbers, four in the bytes of a word, of up to 8 digits. The digits are taken away: the next sixteen
 * follow. */
static void snn_take_sixteen(uint32_t *digits, uint32_t levels, uint32_t *bytes)
{
    uint32_t a = 0, b = 0, c = 0, d = 0;
    while (levels > 0) {
        uint32_t digit = digits[--levels];
        a = a << 1 | SNN_SPREAD(digit);
        b = b << 1 | SNN_SPREAD(digit >> 4);
        c = c << 1 | SNN_SPREAD(digit >> 8);
        d = d << 1 | SNN_SPREAD(digit >> 12);
        digits[levels] = digit >> 16;
    }
    bytes[0] = a;
    bytes[1] = b;
    bytes[2] = c;
    bytes[3] = d;
}

/* All 32 numbers. Their digits become 0, ready for the next step. */
static void snn_take_sums(uint32_t *digits, snn_sum *sums)
{
    uint32_t levels = SNN_LEVELS, bytes[4], low, half, k;
    while (levels > 0 && digits[levels - 1u] == 0) {
        levels--;
    }
    for (half = 0; half < 2u; half++) {
        snn_take_sixteen(digits, levels < 8u ? levels : 8u, bytes);
        for (k = 0; k < 4u; k++) {
            uint32_t four = bytes[k];
            sums[4u * k] = four & 0xFFu;
            sums[4u * k + 1u] = four >> 8 & 0xFFu;
            sums[4u * k + 2u] = four >> 16 & 0xFFu;
            sums[4u * k + 3u] = four >> 24;
        }
        for (low = 8; low < levels; low += 8u) {
            snn_take_sixteen(digits + low, levels - low < 8u ? levels - low : 8u, bytes);
            for (k = 0; k < 16u; k++) {
                sums[k] += (snn_sum)(bytes[k / 4u] >> 8u * (k % 4u) & 0xFFu) << low;
            }
        }
        sums += 16;
    }
}

/* ---- Rate coding: a pixel spikes with a chance that its value gives. ---- */

/* Which of 32 pixels are inputs, a bit each. */
static uint32_t snn_kept_of(uint32_t first)
{
#if SNN_DROPS_PIXELS
    return snn_kept[first / 32u];
#else
    return SNN_INPUTS - first < 32u ? UINT32_MAX >> (32u - (SNN_INPUTS - first)) : UINT32_MAX;
#endif
}

/* Sum the weights of the inputs that spike; gives the number of these inputs.
 * The kept pixels that are not 0 are numbered. Four share a draw of 64 bits, 16 bits each, the first the lowest. */
static uint32_t snn_encode(snn_state *state, const snn_input *image)
{
    uint64_t key = snn_stream(SNN_INPUT_KEY, state->sample, state->step), draw = 0;
    uint32_t first, input = 0, lit = 0, events = 0, count = 0, waiting[4];
    for (first = 0; first < SNN_INPUTS; first += 32u) {
        const snn_input *pixel = image + first;
        uint32_t kept;
        for (kept = snn_kept_of(first); kept != 0; kept >>= 1) {
            uint32_t value = *pixel++, is_input = kept & 1u;
            if (value != 0 && is_input != 0) {
                if (lit % 4u == 0) {
                    draw = snn_mix(key);
                    key += 4u * SNN_GOLDEN;
                }
                if ((uint32_t)(draw & 0xFFFFu) < SNN_CHANCE(value)) {
                    waiting[count++] = input;
                    if (count == 4u) {
                        snn_add_four_rows(state, waiting);
                        events += 4u;
                        count = 0;
                    }
                }
                draw >>= 16;
                lit++;
            }
            input += is_input;
        }
    }
    for (first = 0; first < count; first++) {
        snn_add_row(state, waiting[first]);
    }
    return events + count;
}

/* ---- The layer ---- */

/* The neurons that spiked in the last SNN_REFRACTORY_STEPS steps, a bit each. */
static void snn_find_held(const snn_state *state, uint32_t *held)
{
    uint32_t k;
    for (k = 0; k < SNN_BLOCKS; k++) {
        held[k] = 0;
    }
#if SNN_REFRACTORY_STEPS > 0
    for (k = 0; k < SNN_REFRACTORY_STEPS; k++) {
        uint32_t neuron = snn_read(state->held, k * SNN_HELD_BITS, SNN_HELD_BITS);
        if (neuron != SNN_NEURONS) {
            held[neuron / 32u] |= UINT32_C(1) << neuron % 32u;
        }
    }
#else
    (void)state;
#endif
}

static int32_t snn_membrane(const snn_state *state, uint32_t neuron)
{
    return (int32_t)snn_read(state->membranes, neuron * SNN_MEMBRANE_BITS, SNN_MEMBRANE_BITS) + SNN_LOWEST;
}

static void snn_set_membrane(snn_state *state, uint32_t neuron, int32_t u)
{
    snn_write(state->membranes, neuron * SNN_MEMBRANE_BITS, SNN_MEMBRANE_BITS, (uint32_t)(u - SNN_LOWEST));
}

#if SNN_SCALES
#define SNN_SCALED(current, k) ((current) * ((snn_charged)scales[k] + SNN_LOWEST_SCALE))
#else
#define SNN_SCALED(current, k) (current)
#endif

/* u[j] <- R(decay * u[j] + scale[j] * current[j]) for a block, R the rounding and saturation of a membrane; not for the
 * neurons that are held, a bit each. Gives the largest of these membranes, or SNN_LOWEST. */
static int32_t snn_charge(snn_state *state, uint32_t block, uint32_t *membranes, uint32_t held, uint32_t events)
{
#if SNN_STOCHASTIC
    uint64_t key = snn_stream(SNN_MEMBRANE_KEY, state->sample, state->step) + 32u * block * SNN_GOLDEN;
#endif
#if SNN_SCALES
    uint32_t scales[32];
#endif
    snn_sum sums[32];
    snn_charged lowest_current = (snn_charged)events * SNN_LOWEST_WEIGHT;
    int32_t largest = SNN_LOWEST;
    uint32_t size = snn_block_size(block), k;
    snn_take_sums(state->sums[block], sums);
#if SNN_SCALES
    snn_unpack(snn_scale + block * SNN_SCALE_BITS, snn_words(size, SNN_SCALE_BITS), SNN_SCALE_BITS, scales);
#endif
    for (k = 0; k < size; k++, held >>= 1) {
        snn_charged charged;
        int32_t u;
#if SNN_STOCHASTIC
        uint32_t draw = (uint32_t)(snn_mix(key) >> 32);
        key += SNN_GOLDEN;
#endif
        if ((held & 1u) != 0) {
            continue;
        }
        charged = SNN_SCALED((snn_charged)sums[k] + lowest_current, k) * SNN_CURRENT_UNIT + SNN_DECAYED(membranes[k]);
#if SNN_STOCHASTIC
        charged += SNN_FRACTION(draw);
#endif
        charged >>= SNN_DROP;
        u = (int32_t)(charged < SNN_LOWEST ? SNN_LOWEST : charged > SNN_HIGHEST ? SNN_HIGHEST : charged);
        membranes[k] = (uint32_t)(u - SNN_LOWEST);
        largest = u > largest ? u : largest;
    }
    return largest;
}

/* Margin of a neuron without its theta: u - threshold. */
static snn_margin snn_over(int32_t u)
{
    return (snn_margin)(u - SNN_THRESHOLD) * SNN_MEMBRANE_UNIT;
}

/* One step of the layer. Of the neurons that are not held, gives the first of those with the largest margin
 * u[j] - threshold - theta[j] that is not negative; SNN_NEURONS if there is none. */
static uint32_t snn_compete(snn_state *state, uint32_t events)
{
    snn_margin best = -1;
    uint32_t held[SNN_BLOCKS], membranes[32], winner = SNN_NEURONS, block, k;
    snn_find_held(state, held);
    for (block = 0; block < SNN_BLOCKS; block++) {
        uint32_t *packed = state->membranes + block * SNN_MEMBRANE_BITS;
        uint32_t size = snn_block_size(block), words = snn_words(size, SNN_MEMBRANE_BITS);
        int32_t largest;
        snn_unpack(packed, words, SNN_MEMBRANE_BITS, membranes);
        largest = snn_charge(state, block, membranes, held[block], events);
        snn_pack(packed, words, SNN_MEMBRANE_BITS, membranes);
        /* Most blocks stay below any threshold. */
        if (snn_over(largest) - (snn_margin)SNN_SMALLEST_THETA * SNN_THETA_UNIT <= best) {
            continue;
        }
        for (k = 0; k < size; k++) {
            uint32_t j = 32u * block + k;
            snn_margin theta = (snn_margin)snn_read(snn_theta, j * SNN_THETA_BITS, SNN_THETA_BITS) + SNN_LOWEST_THETA;
            snn_margin margin = snn_over((int32_t)membranes[k] + SNN_LOWEST) - theta * SNN_THETA_UNIT;
            if ((held[block] >> k & 1u) == 0 && margin > best) {
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
    snn_count(state, winner);
}

void snn_reset(snn_state *state, uint64_t sample)
{
    uint32_t j, level;
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
    for (j = 0; j < SNN_BLOCKS; j++) {
        for (level = 0; level < SNN_LEVELS; level++) {
            state->sums[j][level] = 0;
        }
    }
    for (j = 0; j < SNN_CLASSES; j++) {
        state->totals[j] = 0;
    }
}

void snn_step(snn_state *state, const snn_input *input)
{
    uint32_t winner = snn_compete(state, snn_encode(state, input));
    if (winner != SNN_NEURONS) {
        snn_fire(state, winner);
    }
#if SNN_REFRACTORY_STEPS > 0
    snn_write(state->held, state->step % SNN_REFRACTORY_STEPS * SNN_HELD_BITS, SNN_HELD_BITS, winner);
#endif
    state->winner = winner;
    state->step++;
}

void snn_observe(const snn_state *state, void (*see)(void *context, int32_t value), void *context)
{
    uint32_t j;
    see(context, state->winner == SNN_NEURONS ? -1 : (int32_t)state->winner);
    for (j = 0; j < SNN_NEURONS; j++) {
        see(context, snn_membrane(state, j));
    }
}
