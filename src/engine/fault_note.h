// When a worker's thread dies by a signal, says in the black box which rule was at work on which
// packet before the process ends.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/black_box.h"
#include "engine/worker.h"

namespace haka::engine {

// Once, before the workers' threads begin: from now on fatal signals are noted in `box`, which must
// outlive the process's threads.
void note_fatal_signals(BlackBox& box);

// In a worker's thread, for as long as this lives: signals here are about that worker.
class FaultNote {
public:
    FaultNote(const Worker& worker, std::uint32_t index);
    ~FaultNote();
    FaultNote(const FaultNote&) = delete;
    FaultNote& operator=(const FaultNote&) = delete;

private:
    std::vector<char> stack_;  // For signals: a thread may die because its own is full.
};

}  // namespace haka::engine
