// Requests of the control socket: any bytes get one line of JSON as their answer.
#include <nlohmann/json.hpp>
#include <string>

#include "control/fake_engine.h"
#include "control/respond.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using haka::fuzz::require;
    static haka::control::test::FakeEngine engine;
    engine.asked.clear();
    engine.figures_now.workers.assign(1, haka::control::test::busy_worker());
    const std::string request(haka::as_text(haka::ByteView(data, size)));
    // A rule may have any name.
    engine.figures_now.workers[0].figures.rules[0].name = request;
    const std::string answer = haka::control::respond(request, engine, 10);
    require(answer.find('\n') == std::string::npos);
    const auto json = nlohmann::json::parse(answer, nullptr, false);
    require(json.is_object() && json.size() == 2);
    require(json["return"] == "OK" || json["return"] == "NOK");
    require(json["return"] == "OK" || engine.asked.empty());
    return 0;
}
