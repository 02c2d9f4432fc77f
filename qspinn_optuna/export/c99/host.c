/* The test on a computer with an operating system. Its clock ticks CLOCKS_PER_SEC times a second. */

#include "port.h"

#include <stdio.h>
#include <time.h>

static clock_t snn_start_time;

void snn_port_write(const char *text)
{
    fputs(text, stdout);
}

void snn_port_start(void)
{
    snn_start_time = clock();
}

uint32_t snn_port_ticks(void)
{
    return (uint32_t)(clock() - snn_start_time);
}
