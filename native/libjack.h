/* libjack as far as we use it: opened when it is first wanted, so that neither it nor its headers are needed to build.
   Names and values are those of jack/jack.h. */
#ifndef RT_LIBJACK_H
#define RT_LIBJACK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct jack_client jack_client;
typedef struct jack_port jack_port;
typedef struct {
    uint32_t min, max; /* frames */
} jack_range;

enum { JACK_NO_START_SERVER = 1 }; /* of jack_options_t */
enum { JACK_PORT_IS_INPUT = 1, JACK_PORT_IS_OUTPUT = 2, JACK_PORT_IS_PHYSICAL = 4 }; /* of JackPortFlags */
enum { JACK_CAPTURE, JACK_PLAYBACK }; /* jack_latency_callback_mode_t */
enum { JACK_ALREADY = 17 };           /* EEXIST: what jack_connect says of a connection made before */

#define RT_LIBJACK(X) \
    X(jack_client *, client_open, (const char *, int, int *, ...)) \
    X(int, client_close, (jack_client *)) \
    X(int, activate, (jack_client *)) \
    X(uint32_t, get_sample_rate, (jack_client *)) \
    X(uint32_t, get_buffer_size, (jack_client *)) \
    X(void, on_shutdown, (jack_client *, void (*)(void *), void *)) \
    X(int, set_process_callback, (jack_client *, int (*)(uint32_t, void *), void *)) \
    X(int, set_xrun_callback, (jack_client *, int (*)(void *), void *)) \
    X(int, set_buffer_size_callback, (jack_client *, int (*)(uint32_t, void *), void *)) \
    X(int, set_sample_rate_callback, (jack_client *, int (*)(uint32_t, void *), void *)) \
    X(int, set_freewheel_callback, (jack_client *, void (*)(int, void *), void *)) \
    X(int, set_latency_callback, (jack_client *, void (*)(int, void *), void *)) \
    X(int, set_port_registration_callback, (jack_client *, void (*)(uint32_t, int, void *), void *)) \
    X(jack_port *, port_register, (jack_client *, const char *, const char *, unsigned long, unsigned long)) \
    X(jack_port *, port_by_name, (jack_client *, const char *)) \
    X(void *, port_get_buffer, (jack_port *, uint32_t)) \
    X(const char *, port_name, (const jack_port *)) \
    X(int, port_flags, (const jack_port *)) \
    X(int, port_is_mine, (const jack_client *, const jack_port *)) \
    X(void, port_get_latency_range, (jack_port *, int, jack_range *)) \
    X(void, port_set_latency_range, (jack_port *, int, jack_range *)) \
    X(int, recompute_total_latencies, (jack_client *)) \
    X(int, connect, (jack_client *, const char *, const char *)) \
    X(const char **, get_ports, (jack_client *, const char *, const char *, unsigned long)) \
    X(void, free, (void *)) \
    X(void, set_error_function, (void (*)(const char *))) \
    X(void, set_info_function, (void (*)(const char *)))

#define RT_MEMBER(result, name, arguments) result(*name) arguments;
/* The functions without their jack_; NULL until rt_libjack_load. */
extern struct rt_libjack {
    RT_LIBJACK(RT_MEMBER)
} rt_libjack;

/* [main] Whether it is there and new enough; what it has to say stays off the terminal. */
bool rt_libjack_load(void);

#endif
