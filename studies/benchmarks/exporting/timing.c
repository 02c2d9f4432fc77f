/* Classifies the samples of a file and writes the seconds that it took, to read them left out, and the classes.
 * Arguments: the file, how many samples it holds. */

#include "model.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv)
{
    size_t count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0, k;
    snn_input *inputs = malloc(count * SNN_INPUTS * sizeof *inputs);
    uint8_t *answers = malloc(count);
    snn_state *state = malloc(sizeof *state);
    FILE *file = count != 0 ? fopen(argv[1], "rb") : NULL;
    clock_t start;
    if (file == NULL || inputs == NULL || answers == NULL || state == NULL ||
        fread(inputs, sizeof *inputs * SNN_INPUTS, count, file) != count) {
        return 1;
    }
    start = clock();
    for (k = 0; k < count; k++) {
        answers[k] = snn_classify(state, SNN_FIRST_SAMPLE + k, inputs + k * SNN_INPUTS);
    }
    printf("%.9f", (double)(clock() - start) / CLOCKS_PER_SEC);
    for (k = 0; k < count; k++) {
        printf(" %d", answers[k]);
    }
    return 0;
}
