/* ---- Constants. An array holds codes less the smallest code of its format. ---- */

@arrays@
/* ---- What a step runs ---- */

@functions@
void snn_reset(snn_state *state, uint64_t sample)
{
    uint32_t k;
    state->sample = sample;
    state->step = 0;
@reset@
    for (k = 0; k < SNN_CLASSES; k++) {
        state->scores[k] = 0;
    }
}

void snn_step(snn_state *state, const snn_input *input)
{
    uint32_t k;
@step@
    for (k = 0; k < SNN_CLASSES; k++) {
        state->scores[k] = @score@;
    }
@delays@
    state->step++;
}

/* The class with the largest score, the first of equals. */
uint8_t snn_answer(const snn_state *state)
{
    uint32_t k, best = 0;
    for (k = 1; k < SNN_CLASSES; k++) {
        if (state->scores[k] > state->scores[best]) {
            best = k;
        }
    }
    return (uint8_t)best;
}

void snn_observe(const snn_state *state, void (*see)(void *context, int32_t value), void *context)
{
    uint32_t k;
@observed@
    for (k = 0; k < SNN_CLASSES; k++) {
@scores@
    }
}
