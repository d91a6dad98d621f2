/* manifold/plugin.h - the plugin ABI of Manifold, major 1, minor 0.
 *
 * A plugin is a shared object that exports one const symbol,
 * `manifold_plugin_v1`, and carries the ELF note of MF_NOTE().  A manifest (YAML)
 * declares its tools, resources and prompts with their texts and schemas; the
 * library only names them.  Everything that crosses this boundary is a handle,
 * an integer or bytes, so the same library runs inside the host or in a worker.
 *
 * Threads.  A plugin may call any function of mf_host from any thread.  The
 * host calls a plugin on one thread, its loop, which must not block; only
 * call() of a tool with MF_TOOL_BLOCKING runs on a thread of the plugin's own.
 * [loop] and [any] below say which.
 *
 * Memory.  A pointer argument is borrowed until the function returns, both
 * ways.  What is reached from the descriptor lives as long as the library,
 * which is never unloaded; what is reached from mf_host lives until close()
 * returns.  Neither side frees the other's memory.  Text is UTF-8; lengths
 * rule, a NUL is an ordinary byte and nothing is NUL-terminated unless it is a
 * `const char *`.
 *
 * Growth.  Structs begin with their size in bytes and grow only at the end; a
 * reader asks MF_HAS() first.  Integers have fixed widths; there is no enum,
 * bool or long in the ABI.  New abilities arrive as extensions
 * ("manifold.NAME/REV"), never as changed functions.
 *
 * Instances.  open() may run many times in one process, also while another
 * instance is open: keep state in `*ret_self`, no mutable statics. */
#ifndef MANIFOLD_PLUGIN_H
#define MANIFOLD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MF_ABI_MAJOR 1u
#define MF_ABI_MINOR 0u
#define MF_EXPORT    __attribute__((visibility("default")))
/* Does *p, filled in by the other side, have field f? */
#define MF_HAS(p, f) ((p)->size >= offsetof(__typeof__(*(p)), f) + sizeof((p)->f))

/* Borrowed bytes; data may be NULL when len is 0. */
typedef struct mf_bytes {
    const char *data;
    size_t len;
} mf_bytes;

typedef int32_t mf_status;
typedef uint64_t mf_call; /* slot and generation: a stale one is an error, never undefined */
typedef uint64_t mf_op;   /* an operation of a service; 0: refused */
typedef struct mf_host mf_host;

/* mf_status */
enum {
    MF_OK = 0,
    MF_EINVAL = -1, /* an argument is wrong: not JSON, not UTF-8, wrong kind of call  */
    MF_ENOMEM = -2,
    MF_ESTALE = -3,    /* the call is over, or not the plugin's                          */
    MF_ECANCELED = -4, /* nobody waits any more: cancelled or disconnected               */
    MF_ETIMEDOUT = -5, /* nobody waits any more: the deadline has passed                 */
    MF_EDENIED = -6,   /* not granted                                                    */
    MF_ENOTSUP = -7,   /* this host cannot do it                                         */
    MF_ELIMIT = -8,    /* over a limit of the manifest                                   */
    MF_EIO = -9,       /* the other side, the disk or the network failed                 */
    MF_ENOENT = -10,
    MF_EEXIST = -11,
    MF_ENOTDIR = -12,
    MF_EISDIR = -13,
    MF_ENOTEMPTY = -14,
    MF_ENOSPC = -15 /* the disk or the quota is full                                     */
};

/* How a call ends: finish(how) */
enum {
    MF_DONE = 0,       /* the blocks and the structured value are the result              */
    MF_TOOL_ERROR = 1, /* the same with isError (tools): the model may correct itself     */
    MF_NEED_INPUT = 2, /* detail: {"inputRequests":{...},"state":"..."}; host 0.1 can't pass it
                          on yet and treats it as MF_FAULT                                */
    MF_BAD_PARAMS = 3, /* JSON-RPC error -32602, detail is its message                    */
    MF_FAULT = 4,      /* tools: isError and a sentence of the host's, else JSON-RPC error -32603;
                          detail goes to the log, not to the client                       */
    MF_NOT_FOUND = 5   /* resources: there is none at this URI                            */
};

/* Log levels, those of MCP and RFC 5424 */
enum {
    MF_LOG_EMERGENCY = 0,
    MF_LOG_ALERT = 1,
    MF_LOG_CRITICAL = 2,
    MF_LOG_ERROR = 3,
    MF_LOG_WARNING = 4,
    MF_LOG_NOTICE = 5,
    MF_LOG_INFO = 6,
    MF_LOG_DEBUG = 7
};

/* Kinds of request */
enum { MF_TOOL = 1, MF_RESOURCE = 2, MF_PROMPT = 3, MF_COMPLETION = 4 };

/* One tools/call, resources/read, prompts/get or completion/complete.  Owned by
 * the host; it and all it points to last until call() returns.  Every call is
 * finished exactly once with mf_host.finish(). */
typedef struct mf_request {
    uint32_t size;
    uint32_t flags;    /* 0 */
    uint32_t kind;     /* MF_TOOL ... MF_COMPLETION */
    uint32_t index;    /* into tools[], resources[] or prompts[] of the descriptor */
    uint32_t ref_kind; /* MF_COMPLETION: MF_PROMPT or MF_RESOURCE, what index counts in; else 0 */
    uint32_t reserved; /* 0 */
    mf_call call;
    uint64_t deadline_ns; /* on mf_host.now(); 0: none */
    /* Tool, prompt: the JSON object of the arguments, already valid against the schema.
     * Resource template: the variables as a JSON object of strings.  Completion:
     * {"argument":{"name":..,"value":..},"context":{"arguments":{..}}}. */
    mf_bytes args;
    mf_bytes uri; /* MF_RESOURCE: as the client wrote it; else empty */
    mf_bytes
        input; /* JSON inputResponses when the call is a retry after MF_NEED_INPUT; else empty */
    mf_bytes state; /* the state of that MF_NEED_INPUT, integrity checked by the host; else empty */
    mf_bytes meta;  /* JSON _meta of the request, or empty */
} mf_request;

/* The host as an instance sees it.  Owned by the host; valid from open() until
 * close() returns.  Every function takes it first. */
struct mf_host {
    uint32_t size;
    uint32_t abi_minor;  /* of this host */
    const char *name;    /* of the instance, e.g. "weather" */
    const char *version; /* of the host */

    /* The vtable of a service such as "manifold.cache/1", valid until close()
     * returns.  NULL: unknown or not granted; the log says which.  [any] */
    const void *(*extension)(const mf_host *host, const char *id);

    /* Monotonic time in nanoseconds.  [any] */
    uint64_t (*now)(const mf_host *host);

    /* One line for the log and, when `call` is not 0 and its client asked for this
     * level, a notifications/message to that client.  Copied; cut at 2,000 bytes, and
     * dropped over the manifest's `limits.log`.  [any] */
    void (*log)(const mf_host *host, int32_t level, mf_call call, mf_bytes text);

    /* The result is built by appending; the bytes are copied.  MF_ELIMIT over the
     * manifest's `limits.result`, MF_EINVAL for what is not UTF-8 or not JSON,
     * MF_ESTALE, MF_ECANCELED or MF_ETIMEDOUT when nobody waits.  [any], one
     * thread at a time for one call.
     *
     * text(): tool: appends to the current text block (block() ends it);
     *   resource: appends to its text; prompt: appends to a user message.
     * blob(): resource only: appends raw bytes, which the host writes as base64.
     * block(): tool: one content block as JSON; resource: one object of
     *   `contents`; prompt: one object of `messages`.
     * structured(): tool: structuredContent, MF_EINVAL where it does not fit the
     *   outputSchema; completion: {"values":[..],"total":n,"hasMore":b}.  The last one holds. */
    mf_status (*text)(const mf_host *host, mf_call call, mf_bytes text);
    mf_status (*blob)(const mf_host *host, mf_call call, mf_bytes raw);
    mf_status (*block)(const mf_host *host, mf_call call, mf_bytes json);
    mf_status (*structured)(const mf_host *host, mf_call call, mf_bytes json);

    /* Sent if the client asked for progress; `done` must increase, `total` 0: unknown,
     * `text` may be empty.  MF_ELIMIT: 64 notices of this call are on their way.  [any] */
    mf_status (*progress)(const mf_host *host, mf_call call, double done, double total,
                          mf_bytes text);

    /* Ends the call, once; also inside call().  detail: as `how` says; ignored for
     * MF_DONE and MF_TOOL_ERROR, whose text is what was appended; cut at 512 bytes.  MF_OK;
     * MF_ECANCELED or MF_ETIMEDOUT: nobody waited, the call is released all the
     * same; MF_ESTALE: it had been finished before, which is counted as the
     * plugin's mistake.  [any] */
    mf_status (*finish)(const mf_host *host, mf_call call, int32_t how, mf_bytes detail);

    /* 1 when nobody waits any more, 0 while somebody does.  [any] */
    int32_t (*is_cancelled)(const mf_host *host, mf_call call);
};

enum { MF_TOOL_BLOCKING = 1 << 0 }; /* call() may block: it gets a thread of the plugin's own */

/* A tool, resource, template or prompt by its name in the manifest. */
typedef struct mf_entry {
    uint32_t size;
    uint32_t flags; /* MF_TOOL_BLOCKING */
    const char *name;
} mf_entry;

/* The descriptor: const data, read before any code of the plugin runs. */
typedef struct mf_plugin {
    uint32_t size;
    uint32_t flags;         /* 0 */
    uint32_t abi_minor;     /* MF_ABI_MINOR it was built with */
    uint32_t abi_minor_min; /* it cannot work with an older host than this */
    const char *id;         /* equals the manifest's, e.g. "org.example.weather" */
    const char *version;    /* e.g. "1.2.0" */
    /* NULL-terminated arrays of pointers (the elements may grow); NULL: none. */
    const mf_entry *const *tools;
    const mf_entry *const *resources; /* templates too */
    const mf_entry *const *prompts;
    /* Makes an instance.  config: a JSON object, valid against config_schema.  On
     * anything but MF_OK no instance exists and close() is not called.  [loop] */
    mf_status (*open)(const mf_host *host, mf_bytes config, void **ret_self);
    /* Starts (and perhaps finishes) one call.  [loop], BLOCKING tools: [own thread] */
    void (*call)(void *self, const mf_request *request);
    /* A hint that nobody waits for the call; it must be finished all the same.
     * May run while a BLOCKING call() does.  NULL: not interested.  [loop] */
    void (*cancel)(void *self, mf_call call);
    /* No more calls will come: stop timers, finish soon.  May be NULL.  [loop] */
    void (*quiesce)(void *self);
    /* Ends the instance, after its last call, operation and thread.  [loop] */
    void (*close)(void *self);
    /* Services the plugin offers the host ("manifold.state/1").  May be NULL.  [loop] */
    const void *(*extension)(void *self, const char *id);
} mf_plugin;

/* The one exported symbol.  It is data, so nothing has run when it is read. */
MF_EXPORT extern const mf_plugin manifold_plugin_v1;

/* Once in one source file of every plugin: the ELF note that the host reads
 * from the file before it maps anything, so that a library built for another
 * major is refused before a constructor has run.  Name "Manifold" in 12 bytes.
 * clang's AddressSanitizer would pad the note with red zones, which makes it no
 * note at all; gcc's leaves named sections alone. */
#ifdef __clang__
#define MF_NOTE_UNPADDED_ no_sanitize("address"),
#else
#define MF_NOTE_UNPADDED_
#endif
#define MF_NOTE()                                                                                \
    static const struct {                                                                        \
        uint32_t namesz, descsz, type;                                                           \
        char name[12];                                                                           \
        uint32_t desc[4];                                                                        \
    } mf_note __attribute__((MF_NOTE_UNPADDED_ section(".note.manifold"), used, aligned(4))) = { \
        9, 16, 1, "Manifold", {MF_ABI_MAJOR, MF_ABI_MINOR, 0, 0}}

/* A string literal as mf_bytes. */
#define MF_LIT(s) MF_INIT_BYTES_("" s, sizeof(s) - 1)
static inline mf_bytes MF_INIT_BYTES_(const char *data, size_t len)
{
    mf_bytes b;
    b.data = data;
    b.len = len;
    return b;
}

#ifdef __cplusplus
}
#endif
#endif
