// Tested by: black_box_test.cc
#include "engine/fault_note.h"

#include <array>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <string_view>

namespace haka::engine {
namespace {

constexpr std::size_t kStackSize = 64 * 1024;

BlackBox* noted_in = nullptr;  // Set once, before there are threads.

struct AtThread {
    const Worker* worker = nullptr;
    std::uint32_t index = 0;
};
thread_local AtThread at_thread;

// Reads only what the thread that died may have been reading itself; allocates nothing.
void handle(int signal_number) {
    std::array<char, BlackBox::kTextMax> text{};
    std::string_view name;
    if (at_thread.worker != nullptr && noted_in != nullptr) {
        const Worker::AtWork at_work = at_thread.worker->at_work();
        const auto& rules = at_thread.worker->rules_at_work();
        auto end = text.begin();
        if (at_work.rule != 0 && at_work.rule < rules.size()) {
            name = rules[at_work.rule].name;
            end = fmt::format_to_n(text.begin(), text.size(),
                                   "rule \"{}\" ({}) on packet {} ended by signal {}", name,
                                   rules[at_work.rule].place, at_work.packet, signal_number)
                      .out;
        } else {
            end = fmt::format_to_n(text.begin(), text.size(), "packet {} ended by signal {}",
                                   at_work.packet, signal_number)
                      .out;
        }
        noted_in->note_fault({.worker = at_thread.index,
                              .rule = name,
                              .what = {text.data(), static_cast<std::size_t>(end - text.begin())}});
    }
    std::signal(signal_number, SIG_DFL);
    std::raise(signal_number);
}

}  // namespace

void note_fatal_signals(BlackBox& box) {
    noted_in = &box;
    struct sigaction action {};
    action.sa_handler = handle;
    action.sa_flags = SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (const int fatal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
        sigaction(fatal, &action, nullptr);
    }
}

// The stack isn't thread_local: that would come out of each thread's own, and libraries start some
// with little.
FaultNote::FaultNote(const Worker& worker, std::uint32_t index) : stack_(kStackSize) {
    at_thread.worker = &worker;
    at_thread.index = index;
    const stack_t stack{.ss_sp = stack_.data(), .ss_flags = 0, .ss_size = kStackSize};
    sigaltstack(&stack, nullptr);
}

FaultNote::~FaultNote() {
    at_thread.worker = nullptr;
    const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    sigaltstack(&none, nullptr);
}

}  // namespace haka::engine
