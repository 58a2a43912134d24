// The plain C structs that C++ and Lua share: the one definition of both sides. Everything between
// the two marks is compiled here and given to ffi.cdef as it stands, so it is plain C without
// macros. Policies never see these structs: the Lua library keeps them in its upvalues and lends
// out handles that carry a slot and a generation.
//
// Who writes what: C++ fills a slot before a hook runs; Lua writes packet bytes through the
// pointers and sets `changed`; verdicts go through `haka_api`. Nothing raises or calls back across
// this border: functions return a status, the Lua side turns it into an error at the policy's line.
#pragma once

// NOLINTBEGIN: this part is C
#include <stddef.h>
#include <stdint.h>

extern "C" {
// [abi
enum { HAKA_NONE = 0xffffffff };

/* What a policy changed in a packet: NET and TRANSPORT ask for that checksum when it leaves, BYTES
   says only that the bytes aren't the captured ones any more. */
enum { HAKA_CHANGED_NET = 1, HAKA_CHANGED_TRANSPORT = 2, HAKA_CHANGED_BYTES = 4 };

/* Status of an API call; the Lua side has the sentence for each. */
enum {
    HAKA_OK = 0,
    HAKA_NO_SLOT = 1,
    HAKA_NO_MEMORY = 2,
    HAKA_TOO_LARGE = 3,
    HAKA_CAPTURED = 4,
    HAKA_PASS_THROUGH = 5,
    HAKA_HAS_CONNECTION = 6,
    HAKA_NOT_A_PACKET = 7,
    HAKA_TABLE_FULL = 8,
    HAKA_OUTPUT_FULL = 9,
    HAKA_EXISTS = 10,
    HAKA_NOT_SYN = 11,
    HAKA_SENDING = 12,
    HAKA_STREAM_ENDED = 14,
    HAKA_SIGNED = 15, /* nothing was done: TCP-MD5 or TCP-AO */
    HAKA_NO_STREAM = 16,
    HAKA_EDIT_TOO_LARGE = 17,
    HAKA_NO_STREAM_MEMORY = 18,
    HAKA_HTTP_NO_MESSAGE = 19,
    HAKA_HTTP_SENT = 20,
    HAKA_HTTP_FRAMING = 21,
    HAKA_HTTP_BAD_HEAD = 22,
    HAKA_HTTP_NOT_EDITING = 23,
    HAKA_HTTP_OLD_PEER = 24,
    HAKA_HTTP_NO_BODY = 25,
    HAKA_HTTP_ANSWERED = 26,
    HAKA_HTTP_LATE = 27,
    HAKA_HTTP_BAD_TEXT = 28,
    HAKA_HTTP_BAD_NAME = 29,
    HAKA_NO_MARKS = 30
};

/* One packet lent to Lua. Slot 0 is the packet at hand; the others are packets that the policy made
   or took over. The pointers lie in memory of C++ and stay valid while `generation` does. */
struct haka_packet {
    uint32_t generation;
    uint32_t changed;
    uint8_t* net;       /* first byte of the network layer (of the frame when not IP) */
    uint8_t* transport; /* first byte behind the IP header, NULL when not IP */
    uint8_t* payload;   /* first byte behind the transport header */
    uint32_t net_size;  /* from net to the end of the datagram */
    uint32_t transport_size;
    uint32_t payload_size;
    uint8_t ip_version; /* 4, 6 or 0 */
    uint8_t protocol;
    uint8_t transport_ok; /* the transport header is whole */
    uint8_t made;         /* made by a policy: may be sent */
    int64_t when;         /* ns since 1970 */
    uint64_t number;
};

/* A connection that a policy touched, copied for Lua. */
struct haka_connection {
    uint32_t generation;
    uint16_t client_port, server_port;
    uint8_t ip_version;
    uint8_t state; /* flow::State */
    uint8_t dropped;
    uint32_t client[4]; /* host order words; IPv4 uses the first */
    uint32_t server[4];
    uint64_t id;
    uint32_t index; /* in the connection table */
};

/* One rule's place in one direction of a stream, counted in delivered bytes. */
struct haka_cursor {
    double position;
    double mark;  /* everything from here on stays when the hook ends; < 0: no mark */
    double tail;  /* a possible partial match starts here and stays; < 0: none */
    double gap;   /* bytes lost before the position, not yet told */
    double limit; /* where what the rules before this one released ends */
};

/* The in-order bytes of one direction: [base, base + size) at data. */
struct haka_stream {
    const uint8_t* data;
    double base;
    uint32_t size;
    uint32_t eof; /* nothing comes after these bytes */
    struct haka_cursor* cursors;
};

struct haka_text {
    const char* data;
    size_t size;
};

/* Parts of an HTTP head. */
enum { HAKA_HTTP_METHOD, HAKA_HTTP_URI, HAKA_HTTP_VERSION, HAKA_HTTP_STATUS, HAKA_HTTP_REASON };
enum { HAKA_HTTP_SET, HAKA_HTTP_ADD, HAKA_HTTP_REMOVE };

/* What a worker shares with its Lua state. */
struct haka_context {
    uint32_t rule;       /* index of the rule at work, 0 when none: errors and hangs name it */
    uint32_t ended;      /* the packet or connection was decided: evaluation stops */
    uint32_t event;      /* counts hook events; connection-event handles carry it */
    uint32_t streamed;   /* token of the coroutine that runs, 0 when none */
    uint32_t cursor;     /* index of the stream rule at work */
    uint32_t shows_kept; /* what a rule keeps of a stream is about to leave: others see it, too */
    uint32_t connection; /* slot of the connection at hand, HAKA_NONE when not yet touched */
    uint32_t has_connection;
    uint32_t direction;  /* 1: client to server */
    uint32_t hook;       /* script::Hook at work */
    uint32_t end_reason; /* flow::EndReason on tcp-connection-end */
    uint32_t pass_through;
    uint32_t held_segments_max; /* of a tcp.stream(), as is the next */
    uint32_t edits_max;
    uint32_t worker;
    uint32_t log_level_max; /* highest (most verbose) level that any module logs */
    uint64_t packet_number; /* of the packet at hand */
    int64_t now;            /* time of the packet at hand, ns since 1970 */
    struct haka_packet* packets;
    struct haka_connection* connections;
    struct haka_stream* streams; /* of the connection at hand: [0] client to server, [1] back;
                                    [2] and [3]: bodies of the HTTP messages in these */
    uint32_t http;               /* at hand 1: a request, 2: a response, 0: neither */
    uint32_t http_waits;         /* streamed rules that go on with its body */
    uint32_t http_readonly;      /* the rule at work promised to change nothing */
    void* host;
};

/* What Lua asks of C++. `c` is the worker's context. Nothing returns an unsigned integer: compiled
   Lua takes the register's 64 bits, and a C function leaves those above the value undefined. */
struct haka_api {
    int (*log)(struct haka_context* c, int level, const char* module, size_t module_size,
               const char* text, size_t text_size);
    int (*packet_new)(struct haka_context* c, uint32_t size, uint32_t* slot);
    int (*packet_resize)(struct haka_context* c, uint32_t slot, uint32_t net_size);
    int (*packet_take)(struct haka_context* c, uint32_t slot, uint32_t* taken);
    int (*packet_send)(struct haka_context* c, uint32_t slot);
    void (*packet_drop)(struct haka_context* c, uint32_t slot);
    void (*packet_keep)(struct haka_context* c, uint32_t slot, int keep);
    void (*packet_parse)(struct haka_context* c, uint32_t slot);
    int (*checksum_ok)(struct haka_context* c, uint32_t slot, int transport);
    void (*checksum_set)(struct haka_context* c, uint32_t slot, int transport);
    /* The kernel's mark of the packet; 0 where its source has none. */
    double (*packet_mark)(struct haka_context* c, uint32_t slot);
    int (*packet_set_mark)(struct haka_context* c, uint32_t slot, uint32_t mark);
    double (*connection_touch)(struct haka_context* c);
    double (*connection_of)(struct haka_context* c, uint32_t slot, uint32_t* direction,
                            uint32_t* tombstone);
    int (*connection_new)(struct haka_context* c, uint32_t slot, uint32_t* connection);
    void (*connection_refresh)(struct haka_context* c, uint32_t connection);
    int (*connection_drop)(struct haka_context* c, uint32_t connection);
    int (*connection_reset)(struct haka_context* c, uint32_t connection);
    int (*connection_close)(struct haka_context* c, uint32_t connection);
    /* Who reads the streams of the connection at hand; the name was checked. */
    void (*dissector_choose)(struct haka_context* c, const char* name, size_t name_size);
    /* Puts `text` in the place of the `erase` bytes at position `at`; cursors follow. */
    int (*stream_edit)(struct haka_context* c, uint32_t half, double at, uint32_t erase,
                       const char* text, size_t text_size);
    double (*find)(const uint8_t* data, size_t size, const char* text, size_t text_size,
                   size_t* partial);
    /* Heads of the messages at hand; `which` 0: request, 1: response. Texts stay valid until the
       next call that changes something, or the hook's end. */
    int (*http_part)(struct haka_context* c, uint32_t which, uint32_t part, struct haka_text* text);
    /* The number of the next header of that name at or behind number `from`, or -1. */
    int (*http_find)(struct haka_context* c, uint32_t which, const char* name, size_t name_size,
                     uint32_t from, struct haka_text* value);
    /* Header number `index`; 0 when there is none. */
    int (*http_item)(struct haka_context* c, uint32_t which, uint32_t index, struct haka_text* name,
                     struct haka_text* value);
    int (*http_set_part)(struct haka_context* c, uint32_t which, uint32_t part, const char* text,
                         size_t text_size);
    int (*http_set_header)(struct haka_context* c, uint32_t which, int how, const char* name,
                           size_t name_size, const char* value, size_t value_size);
    int (*http_open_body)(struct haka_context* c, uint32_t which);
    int (*http_edit_body)(struct haka_context* c);
    int (*http_respond)(struct haka_context* c, const char* text, size_t text_size);
    /* Why HAKA_HTTP_BAD_HEAD: the offence's name. */
    void (*http_problem)(struct haka_context* c, struct haka_text* text);
    /* `parts`: scheme, authority, userinfo, user, pass, host, port, path, query, fragment; of one
       that isn't there, data is NULL. */
    void (*uri_split)(const char* text, size_t size, int is_target, struct haka_text* parts);
    /* `out` is valid until the next call. */
    void (*uri_normalize)(const char* text, size_t size, int is_target, struct haka_text* out);
    void (*uri_decode)(const char* text, size_t size, struct haka_text* out);
    double (*clock)(void);
    void (*rule_time)(struct haka_context* c, uint32_t rule, double seconds);
};
// abi]
}
// NOLINTEND
