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

#if SNN_NEURONS % 32 != 0
/* A word of the last block, which is shorter: there the bits of all rows follow each other. */
static uint32_t snn_last_word(uint32_t input, uint32_t plane)
{
    uint32_t position = (input * SNN_WEIGHT_BITS + plane) * (SNN_NEURONS % 32u);
    return snn_read(snn_last_weights, position, SNN_NEURONS % 32u);
}
#endif

/* Which of 32 pixels are inputs, a bit each. */
static uint32_t snn_kept_of(uint32_t first)
{
#if SNN_DROPS_PIXELS
    return snn_kept[first / 32u];
#else
    return SNN_INPUTS - first < 32u ? UINT32_MAX >> (32u - (SNN_INPUTS - first)) : UINT32_MAX;
#endif
}

/* ---- The layer ---- */

static int32_t snn_membrane(const snn_state *state, uint32_t neuron)
{
    return (int32_t)snn_read(state->membranes, neuron * SNN_MEMBRANE_BITS, SNN_MEMBRANE_BITS) + SNN_LOWEST;
}

static void snn_set_membrane(snn_state *state, uint32_t neuron, int32_t u)
{
    snn_write(state->membranes, neuron * SNN_MEMBRANE_BITS, SNN_MEMBRANE_BITS, (uint32_t)(u - SNN_LOWEST));
}

/* R of a charged membrane, less SNN_LOWEST. */
static uint32_t snn_stored(snn_charged charged)
{
    charged >>= SNN_DROP;
    charged = charged < SNN_LOWEST ? SNN_LOWEST : charged > SNN_HIGHEST ? SNN_HIGHEST : charged;
    return (uint32_t)((int32_t)charged - SNN_LOWEST);
}

/* The margin of a stored membrane without its neuron's theta, u - threshold, and theta. */
static snn_margin snn_over(uint32_t code)
{
    return (snn_margin)((int32_t)code + SNN_LOWEST - SNN_THRESHOLD) * SNN_MEMBRANE_UNIT;
}

static snn_margin snn_raised(uint32_t neuron)
{
    snn_margin theta = (snn_margin)snn_read(snn_theta, neuron * SNN_THETA_BITS, SNN_THETA_BITS) + SNN_LOWEST_THETA;
    return theta * SNN_THETA_UNIT;
}

#if SNN_REFRACTORY_STEPS > 0
/* The neuron that spiked in one of the last SNN_REFRACTORY_STEPS steps; SNN_NEURONS if none did. */
static uint32_t snn_held_neuron(const snn_state *state, uint32_t k)
{
    return snn_read(state->held, k * SNN_HELD_BITS, SNN_HELD_BITS);
}
#endif

/* Keep what a step gave. */
static void snn_end_step(snn_state *state, uint32_t winner)
{
    if (winner != SNN_NEURONS) {
        snn_count(state, winner);
    }
#if SNN_REFRACTORY_STEPS > 0
    snn_write(state->held, state->step % SNN_REFRACTORY_STEPS * SNN_HELD_BITS, SNN_HELD_BITS, winner);
#endif
    state->winner = winner;
    state->step++;
}

/* Compiled with SNN_UNPACKED defined, this file computes the same in the way of a computer: several times faster there,
 * with constants that the first step unpacks in RAM. That step must not be in two threads at once. The state is the
 * same. */
#ifdef SNN_UNPACKED
@unpacked@
#else
@packed@
#endif

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

void snn_observe(const snn_state *state, void (*see)(void *context, int32_t value), void *context)
{
    uint32_t j;
    see(context, state->winner == SNN_NEURONS ? -1 : (int32_t)state->winner);
    for (j = 0; j < SNN_NEURONS; j++) {
        see(context, snn_membrane(state, j));
    }
}
