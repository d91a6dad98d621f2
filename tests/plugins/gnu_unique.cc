/* C++ with a STB_GNU_UNIQUE symbol, which pins the object, and a thread_local with a destructor. */
#include <manifold/plugin.h>
#include <new>
#include <string>
#include <thread>

namespace
{
struct self {
    const mf_host *host;
};
} // namespace

/* A static of an inline function has one address in the process: STB_GNU_UNIQUE. */
inline int &shared_counter()
{
    static int counter;
    return counter;
}

static mf_status open_it(const mf_host *host, mf_bytes, void **ret_self)
{
    *ret_self = new (std::nothrow) self{host};
    return *ret_self ? MF_OK : MF_ENOMEM;
}

static void call(void *arg, const mf_request *request)
{
    const mf_host *host = static_cast<self *>(arg)->host;
    std::string text;
    std::thread([&] {
        thread_local std::string local("long enough to live on the heap, and destroyed at its end");
        text = "C++ call, counter and local: " + std::to_string(++shared_counter()) + ", " +
               std::to_string(local.size() > 20);
    }).join();
    host->text(host, request->call, mf_bytes{text.data(), text.size()});
    host->finish(host, request->call, MF_DONE, mf_bytes{nullptr, 0});
}

static void close_it(void *arg)
{
    delete static_cast<self *>(arg);
}

MF_NOTE();
static const mf_entry tool = {sizeof(mf_entry), 0, "gnu_unique"};
static const mf_entry *const tools[] = {&tool, nullptr};
extern "C" MF_EXPORT const mf_plugin manifold_plugin_v1 = {
    sizeof(mf_plugin), 0,       MF_ABI_MINOR, 0,       BAD_ID,  "1.0.0",  tools,  nullptr,
    nullptr,           open_it, call,         nullptr, nullptr, close_it, nullptr};
