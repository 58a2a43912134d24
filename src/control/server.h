// The control socket: a unix stream socket that only its owner may open, and a thread of its own
// that answers, so that no client ever stands in a packet's way.
//
// Clients are bounded in number, in the length of a line, in what waits for them to be read, and in
// how long they may be silent in the middle of something.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/settings.h"
#include "control/engine.h"

namespace haka::control {

class Server {
public:
    struct Opened {
        std::unique_ptr<Server> server;  // Null on failure.
        std::string error;               // What, where, the remedy.
    };
    // Listens at settings.socket, mode 0600. A socket that nobody listens at any more is replaced,
    // the last folder of the path is made when it isn't there. `engine` must outlive the server.
    [[nodiscard]] static Opened open(const ControlSettings& settings, Engine& engine);

    // Answers what was asked, closes, removes the socket.
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

private:
    struct Client;

    Server(const ControlSettings& settings, Engine& engine, int listener, int waker);
    void serve();
    void accept_one();
    void read_from(Client& client);
    void answer_lines(Client& client);
    void write_to(Client& client) const;
    void drop_silent();
    void drop_idlest();

    ControlSettings settings_;
    Engine& engine_;
    int listener_;
    int waker_;  // An eventfd: the destructor wakes the thread.
    std::atomic<bool> ending_{false};
    std::vector<std::unique_ptr<Client>> clients_;
    std::thread thread_;
};

}  // namespace haka::control
