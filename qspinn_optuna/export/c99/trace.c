/* Shows everything: for each sample of a file, every spike and membrane after every step, then the class, as numbers of
 * 32 bits. Arguments: the file, the number of its first sample, how many samples it holds. */

#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void snn_show(void *context, int32_t value)
{
    fwrite(&value, sizeof value, 1, context);
}

int main(int argc, char **argv)
{
    static snn_input input[SNN_INPUTS];
    snn_state *state = malloc(sizeof *state);
    FILE *file = argc == 4 ? fopen(argv[1], "rb") : NULL;
    uint64_t sample, end;
    if (state == NULL || file == NULL) {
        return 2;
    }
    /* A reset leaves nothing of what the memory held. */
    memset(state, 0xA5, sizeof *state);
    sample = strtoull(argv[2], NULL, 10);
    for (end = sample + strtoull(argv[3], NULL, 10); sample != end; sample++) {
        uint32_t t;
        if (fread(input, sizeof input[0], SNN_INPUTS, file) != SNN_INPUTS) {
            return 3;
        }
        snn_reset(state, sample);
        for (t = 0; t < SNN_STEPS; t++) {
            snn_step(state, input + t * SNN_INPUT_STRIDE);
            snn_observe(state, snn_show, stdout);
        }
        snn_show(stdout, snn_answer(state));
        /* Classifying begins with a reset: what was before changes nothing. */
        snn_show(stdout, snn_classify(state, sample, input));
    }
    free(state);
    return fclose(file) == 0 && fflush(stdout) == 0 ? 0 : 4;
}
