/* @comment@ */
static void snn_@name@(const @source_type@ *source, uint32_t first, uint32_t count, uint32_t *membranes@parameters@)
{
    uint32_t i;
    for (i = first; count != 0; count--, i++) {
        @type@ v = @membrane@;
        @type@ x = @value@;
        @type@ u = @charged@;
@spike@@rounding@
        snn_write(membranes, i * @bits@u, @bits@u, (uint32_t)(@stored@));
    }
}
