#include "engine/merger.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace haka::engine {

Merger::Merger(const Sinks& sinks, const RunOptions& options, FindInterface find_interface,
               capture::FileWriter* writer, capture::FileSink* eve)
    : sinks_(&sinks),
      options_(&options),
      find_interface_(std::move(find_interface)),
      writer_(writer),
      eve_(eve) {}

void Merger::write(std::deque<Journal>& journals, std::uint64_t last) {
    taken_.resize(journals.size());
    std::vector<RecordReader> readers;
    for (std::size_t i = 0; i < journals.size(); ++i) {
        journals[i].take(taken_[i]);
        readers.emplace_back(taken_[i]);
    }
    while (true) {
        RecordReader* first = nullptr;
        for (RecordReader& reader : readers) {
            if (!reader.done() && reader.head().order.packet <= last &&
                (first == nullptr || reader.head().order < first->head().order)) {
                first = &reader;
            }
        }
        if (first == nullptr) {
            return;
        }
        write_record(*first);
        first->next();
    }
}

void Merger::write(ByteView records) {
    for (RecordReader reader(records); !reader.done(); reader.next()) {
        write_record(reader);
    }
}

void Merger::write_record(const RecordReader& record) {
    const RecordHead& head = record.head();
    switch (head.kind) {
        case RecordKind::Print:
            text(sinks_->out, record.first(), "standard output");
            return;
        case RecordKind::Log:
            if (!head.once || said_once_.emplace(record.first().substr(26)).second) {
                text(sinks_->log, record.first(), "the log");
            }
            return;
        case RecordKind::Alert:
            write_alert(record);
            return;
        case RecordKind::Packet:
            break;
    }
    if (writer_ == nullptr || writer_failed_) {
        unwritten_ += writer_failed_ ? 1 : 0;
        return;
    }
    // What the engine sends back may come from a side that the capture doesn't know.
    const capture::Interface* const interface = find_interface_(head.interface);
    const bool first = interface == find_interface_(0);
    const capture::FileWriter::Record packet{.interface = interface,
                                             .interface_index = first ? 0 : head.interface,
                                             .when = head.when,
                                             .original_size = head.original_size,
                                             .bytes = as_bytes(record.second()),
                                             .comment = record.first()};
    if (!writer_->write(packet)) {
        writer_failed_ = true;
        unwritten_ += 1;
        fail(writer_->error());
    }
}

void Merger::write_alert(const RecordReader& record) {
    const RecordHead& head = record.head();
    if (head.event != Event::None) {
        held_back_.clear();
        const bool admitted = limiter_.admit(head.event, head.when, held_back_);
        for (const report::HeldBack& held : held_back_) {
            tell(held);
        }
        if (!admitted) {
            return;
        }
    }
    if (!record.first().empty()) {
        text(sinks_->out, record.first(), "standard output");
    }
    if (!record.second().empty()) {
        write_eve(record.second());
    }
}

// Only alerts are told to people; anomalies are in the EVE file and in the summary's counts.
void Merger::tell(const report::HeldBack& held) {
    if (held.event != Event::TcpNoConnection || options_->quiet) {
        return;
    }
    line_.clear();
    report::append_held_back(line_, held);
    line_ += '\n';
    text(sinks_->out, line_, "standard output");
}

void Merger::text(const std::function<bool(std::string_view)>& sink, std::string_view text,
                  const char* name) {
    has_written_text_ = true;
    if (!sink(text) && !text_failed_) {
        text_failed_ = true;
        fail(fmt::format("can't write to {}: {}", name, std::strerror(errno)));
    }
}

void Merger::write_eve(std::string_view line) {
    if (options_->eve == "-") {
        text(sinks_->out, line, "standard output");
        return;
    }
    if (eve_ == nullptr || eve_failed_) {
        unwritten_ += eve_failed_ ? 1 : 0;
        return;
    }
    if (std::uint8_t* room = eve_->append(line.size()); room != nullptr) {
        std::memcpy(room, line.data(), line.size());
        return;
    }
    eve_failed_ = true;
    unwritten_ += 1;
    fail(fmt::format("{}: {}", options_->eve, eve_->error()));
}

void Merger::fail(const std::string& problem) {
    for (std::string* const text : {&problem_, &news_}) {
        if (text->find(problem) == std::string::npos) {
            *text += text->empty() ? problem : "; " + problem;
        }
    }
}

void Merger::finish() {
    held_back_.clear();
    limiter_.finish(held_back_);
    for (const report::HeldBack& held : held_back_) {
        tell(held);
    }
    flush();
}

void Merger::set_eve(capture::FileSink* eve) {
    eve_ = eve;
    eve_failed_ = false;
}

void Merger::set_writer(capture::FileWriter* writer) {
    writer_ = writer;
    writer_failed_ = false;
}

void Merger::flush() {
    if (writer_ != nullptr && !writer_failed_ && !writer_->flush()) {
        writer_failed_ = true;
        fail(writer_->error());
    }
    if (eve_ != nullptr && !eve_failed_ && !eve_->flush()) {
        eve_failed_ = true;
        fail(fmt::format("{}: {}", options_->eve, eve_->error()));
    }
}

}  // namespace haka::engine
