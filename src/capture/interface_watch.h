// An interface while a run reads it: whether it is still there and up, its MTU, and what is lost
// there. Each thing is said once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "capture/live_source.h"

namespace haka::capture {

class InterfaceWatch {
public:
    // `fd`: a socket by which interfaces are asked; it outlives the watch. Not `speaks`: another
    // worker says when the interface goes down. Returns what is wrong with it, empty when nothing.
    [[nodiscard]] std::string open(const std::string& name, int fd, bool speaks);
    // The kernel didn't take a frame; `error` is an errno.
    void note_refused(int error) { refused_ = error; }
    // `lost`: frames that came too fast since the last look. Returns why nothing will ever come
    // again, empty when something may.
    [[nodiscard]] std::string look(std::uint64_t lost, LiveCounts& counts,
                                   std::vector<std::string>& said);

    [[nodiscard]] std::uint32_t mtu() const { return mtu_; }

private:
    void look_for_lost(std::uint64_t lost, LiveCounts& counts, std::vector<std::string>& said);
    void look_for_refused(std::vector<std::string>& said);
    [[nodiscard]] bool is_down() const;
    void read_mtu();

    std::string name_;
    int fd_ = -1;
    int index_ = 0;
    std::uint32_t mtu_ = 0;
    int refused_ = 0;  // Why, since the last look; 0: all were taken.
    bool speaks_ = true;
    bool was_down_ = false;
    bool has_said_refused_ = false;
};

// "IF: there is no such interface ..."
[[nodiscard]] std::string no_such_interface(const std::string& name);

}  // namespace haka::capture
