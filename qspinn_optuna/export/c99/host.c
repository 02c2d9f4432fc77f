/* The test on a computer with an operating system. */

#include "port.h"

#include <stdio.h>

void snn_port_write(const char *text)
{
    fputs(text, stdout);
}

void snn_port_start(void)
{
}

uint32_t snn_port_ticks(void)
{
    return 0;
}
