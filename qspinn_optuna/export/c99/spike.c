        @compared_type@ threshold = @threshold@;
        uint32_t spike = @fires@;
        if (i % 32u == 0) {
            spikes[i / 32u] = 0;
        }
        spikes[i / 32u] |= spike << i % 32u;
