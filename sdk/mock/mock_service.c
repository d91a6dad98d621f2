/* mock_service.c - the services that every mock has; mf_mock_set_extension() overrides. */
#include "mock_internal.h"

#include <manifold/cache.h>
#include <manifold/files.h>
#include <manifold/http.h>
#include <manifold/metrics.h>
#include <manifold/notify.h>
#include <manifold/timer.h>
#include <manifold/work.h>

#include <string.h>

static const struct mock_service services[] = {
    {MF_EXT_CACHE, &mock_cache, NULL, mock_cache_release},
    {MF_EXT_FILES, &mock_files, NULL, mock_files_release},
    {MF_EXT_HTTP, &mock_http, NULL, mock_http_release},
    {MF_EXT_METRICS, &mock_metrics, NULL, mock_metrics_release},
    {MF_EXT_NOTIFY, &mock_notify, NULL, mock_notify_release},
    {MF_EXT_TIMER, &mock_timer, NULL, NULL},
    {MF_EXT_WORK, &mock_work, mock_work_stop, mock_work_release},
};
enum { SERVICES = sizeof(services) / sizeof(services[0]) };

const void *mock_service_find(const char *id)
{
    for (size_t i = 0; i < SERVICES; i++)
        if (strcmp(services[i].id, id) == 0)
            return services[i].vtable;
    return NULL;
}

void mock_services_stop(mf_mock *m)
{
    for (size_t i = 0; i < SERVICES; i++)
        if (services[i].stop != NULL)
            services[i].stop(m);
}

void mock_services_release(mf_mock *m)
{
    for (size_t i = 0; i < SERVICES; i++)
        if (services[i].release != NULL)
            services[i].release(m);
}
