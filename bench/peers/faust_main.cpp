// Runs Faust's bank: SECONDS OUT FUNDAMENTAL...: one voice each, 48 kHz, mono, blocks of 64 frames. OUT is a file of raw
// float32 samples, or - for none.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "faust/dsp/dsp.h"
#include "faust/gui/UI.h"
#include "faust/gui/meta.h"

static float peer_fundamental;  // hertz; read by instanceConstants
#include "bank.hpp"

int main(int count, char** words) {
    if (count < 4) return 2;
    const int rate = 48000, block = 64;
    const long blocks = static_cast<long>(std::atof(words[1]) * rate) / block;
    std::FILE* out = std::string(words[2]) == "-" ? nullptr : std::fopen(words[2], "wb");
    std::vector<std::unique_ptr<Bank>> voices;
    for (int i = 3; i < count; ++i) {
        peer_fundamental = static_cast<float>(std::atof(words[i]));
        voices.push_back(std::make_unique<Bank>());
        voices.back()->init(rate);
    }
    float voice[block], mix[block], peak = 0.0f;
    for (long b = 0; b < blocks; ++b) {
        for (float& x : mix) x = 0.0f;
        for (auto& bank : voices) {
            float* outputs[] = {voice};
            bank->compute(block, nullptr, outputs);
            for (int n = 0; n < block; ++n) mix[n] += voice[n];
        }
        for (float x : mix) peak = x > peak ? x : peak;
        if (out) std::fwrite(mix, sizeof *mix, block, out);
    }
    if (out) std::fclose(out);
    return peak > 0.0f ? 0 : 1;  // also keeps the loop from being optimised away
}
