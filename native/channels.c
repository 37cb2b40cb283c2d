#include "channels.h"

#include <math.h>
#include <string.h>

/* Controllers of the MIDI 1.0 specification. */
enum {
    MODULATION = 1,
    DATA_MSB = 6,
    VOLUME = 7,
    PAN = 10,
    EXPRESSION = 11,
    DATA_LSB = 38,
    SUSTAIN = 64,
    SOSTENUTO = 66,
    SOFT = 67,
    TIMBRE = 74,
    INCREMENT = 96,
    DECREMENT = 97,
    NRPN_LSB = 98,
    NRPN_MSB = 99,
    RPN_LSB = 100,
    RPN_MSB = 101,
    ALL_SOUND_OFF = 120,
    RESET_CONTROLLERS = 121,
    ALL_NOTES_OFF = 123, /* and the four channel modes after it */
    MONO_ON = 126,
    POLY_ON = 127,
};

/* Of registered parameters, as after power-on: MSB, LSB. */
static const uint8_t REGISTERED[RT_REGISTERED][2] = {{2, 0}, {64, 0}, {64, 0}, {0, 0}, {0, 0}, {0, 64}, {0, 0}};

#define NO_RPN 127            /* RPN 127/127: none chosen */
#define MEMBER_BEND 48        /* semitones, once a zone is made */
#define LOWEST_PITCH (-120.0) /* a key may be tuned from here ... */
#define HIGHEST_PITCH 240.0   /* ... to here: far outside what can be heard, and finite as a ratio */

/* ---- MPE zones: the lower one's manager is channel 0, the upper one's 15 ---- */

static int32_t manager_of_zone(int32_t zone)
{
    return zone == 0 ? 0 : RT_MIDI_CHANNELS - 1;
}

/* The channels of a zone, its manager among them; none where it has no member. */
static uint32_t channels_of_zone(const rt_channels *channels, int32_t zone)
{
    const int32_t members = channels->members[zone];
    if (members == 0) return 0;
    const uint32_t lower = (1u << (members + 1)) - 1;
    return zone == 0 ? lower : lower << (RT_MIDI_CHANNELS - 1 - members);
}

int32_t rt_channels_manager(const rt_channels *channels, int32_t channel)
{
    for (int32_t zone = 0; zone < 2; zone++)
        if (channels_of_zone(channels, zone) >> channel & 1) return manager_of_zone(zone);
    return channel;
}

/* The channels that a message on this one is for: a manager speaks for its zone. */
static uint32_t addressed(const rt_channels *channels, int32_t channel)
{
    for (int32_t zone = 0; zone < 2; zone++)
        if (channels->members[zone] && channel == manager_of_zone(zone)) return channels_of_zone(channels, zone);
    return 1u << channel;
}

/* ---- defaults ---- */

/* General MIDI: volume and expression are 40 log10(value) dB; 0 dB is the default, 100 and 127. */
static void set_level(rt_channel *channel)
{
    const double share = channel->volume * channel->expression / (100.0 * 127.0);
    channel->level = share * share;
}

/* What Reset All Controllers resets (MIDI RP-015): not volume, pan, timbre or registered parameters. */
static void reset_controllers(rt_channel *channel)
{
    channel->bend = 0.0;
    channel->expression = 127.0;
    set_level(channel);
    channel->sustain = channel->soft = 0.0;
    channel->sostenuto = 0;
    memset(channel->latched, 0, sizeof channel->latched);
    channel->modulation = channel->pressure = -1.0;
    for (int32_t key = 0; key < RT_KEYS; key++) channel->key_pressure[key] = -1.0f;
    channel->rpn_msb = channel->rpn_lsb = NO_RPN;
}

static void reset_channel(rt_channel *channel)
{
    channel->volume = 100.0;
    channel->pan = channel->timbre = 0.0;
    channel->mono = 0;
    memcpy(channel->data, REGISTERED, sizeof channel->data);
    reset_controllers(channel);
}

void rt_channels_reset(rt_channels *channels)
{
    channels->members[0] = channels->members[1] = 0;
    for (int32_t c = 0; c < RT_MIDI_CHANNELS; c++) reset_channel(&channels->channel[c]);
}

void rt_channels_init(rt_channels *channels, const int32_t *routes, double a4)
{
    memcpy(channels->routes, routes, sizeof channels->routes);
    channels->concert = 12.0 * log2(a4 / 440.0);
    for (int32_t c = 0; c < RT_MIDI_CHANNELS; c++)
        for (int32_t key = 0; key < RT_KEYS; key++) channels->channel[c].pitch[key] = INFINITY;
    rt_channels_reset(channels);
}

/* ---- registered parameters ---- */

/* RPN 6: so many members for a zone; the other one gives way. Channels that join or leave start afresh, silent. */
static rt_order make_zone(rt_channels *channels, int32_t zone, int32_t members)
{
    const uint32_t before[2] = {channels_of_zone(channels, 0), channels_of_zone(channels, 1)};
    const int32_t left = RT_MIDI_CHANNELS - 2 - members;
    channels->members[zone] = members < RT_MIDI_CHANNELS - 1 ? members : RT_MIDI_CHANNELS - 1;
    if (members > 0 && channels->members[1 - zone] > left) channels->members[1 - zone] = left > 0 ? left : 0;
    uint32_t touched = before[zone] | channels_of_zone(channels, zone);
    if (channels_of_zone(channels, 1 - zone) != before[1 - zone]) touched |= before[1 - zone];
    for (int32_t c = 0; c < RT_MIDI_CHANNELS; c++) {
        if (!(touched >> c & 1)) continue;
        reset_controllers(&channels->channel[c]);
        channels->channel[c].timbre = 0.0;
        const bool member = rt_channels_manager(channels, c) != c;
        channels->channel[c].data[RT_BEND_RANGE][0] = member ? MEMBER_BEND : REGISTERED[RT_BEND_RANGE][0];
        channels->channel[c].data[RT_BEND_RANGE][1] = 0;
    }
    return (rt_order){RT_ORDER_RELEASE, touched};
}

/* The range of one member is that of all members of its zone. */
static void share_range(rt_channels *channels, int32_t c)
{
    const int32_t manager = rt_channels_manager(channels, c);
    if (manager == c) return;
    for (int32_t other = 0; other < RT_MIDI_CHANNELS; other++)
        if (other != manager && rt_channels_manager(channels, other) == manager)
            memcpy(channels->channel[other].data[RT_BEND_RANGE], channels->channel[c].data[RT_BEND_RANGE], 2);
}

/* The chosen parameter, -1: none that is known. */
static int32_t chosen(const rt_channel *channel)
{
    return channel->rpn_msb == 0 && channel->rpn_lsb < RT_REGISTERED ? channel->rpn_lsb : -1;
}

static rt_order entered(rt_channels *channels, int32_t c, int32_t parameter)
{
    if (parameter == RT_BEND_RANGE) share_range(channels, c);
    if (parameter == RT_MPE_MEMBERS && (c == manager_of_zone(0) || c == manager_of_zone(1)))
        return make_zone(channels, c == manager_of_zone(0) ? 0 : 1, channels->channel[c].data[RT_MPE_MEMBERS][0]);
    return (rt_order){RT_ORDER_NOTHING, 0};
}

static rt_order enter_data(rt_channels *channels, int32_t c, bool lsb, int32_t value)
{
    const int32_t parameter = chosen(&channels->channel[c]);
    if (parameter < 0 || (parameter == RT_MPE_MEMBERS && lsb)) return (rt_order){RT_ORDER_NOTHING, 0};
    channels->channel[c].data[parameter][lsb] = (uint8_t)value;
    return entered(channels, c, parameter);
}

/* One step, of a cent or of the last bit where a parameter has two bytes, else of the first (RP-018). */
static rt_order step_data(rt_channels *channels, int32_t c, int32_t by)
{
    const int32_t parameter = chosen(&channels->channel[c]);
    if (parameter < 0 || parameter == RT_MPE_MEMBERS) return (rt_order){RT_ORDER_NOTHING, 0};
    uint8_t *data = channels->channel[c].data[parameter];
    const int32_t steps = parameter == RT_BEND_RANGE ? 100 : 128; /* of the second byte to one of the first */
    const int32_t step = parameter == RT_COARSE_TUNING ? steps : 1;
    const int32_t now = data[0] * steps + data[1] + by * step;
    if (now < 0 || now >= 128 * steps) return (rt_order){RT_ORDER_NOTHING, 0};
    data[0] = (uint8_t)(now / steps);
    data[1] = (uint8_t)(now % steps);
    return entered(channels, c, parameter);
}

/* ---- controllers ---- */

/* Members of a zone have no pedals of their own. */
static rt_order press_sostenuto(rt_channels *channels, int32_t c, bool down)
{
    if (channels->channel[c].sostenuto == down || rt_channels_manager(channels, c) != c)
        return (rt_order){RT_ORDER_NOTHING, 0};
    const uint32_t keys_of = addressed(channels, c);
    channels->channel[c].sostenuto = down;
    if (down) return (rt_order){RT_ORDER_LATCH, keys_of};
    for (int32_t other = 0; other < RT_MIDI_CHANNELS; other++)
        if (keys_of >> other & 1) memset(channels->channel[other].latched, 0, RT_KEYS);
    return (rt_order){RT_ORDER_NOTHING, 0};
}

static rt_order change_mode(rt_channels *channels, int32_t c, int32_t controller)
{
    const uint32_t all = addressed(channels, c);
    for (int32_t other = 0; other < RT_MIDI_CHANNELS; other++) {
        if (!(all >> other & 1)) continue;
        if (controller == RESET_CONTROLLERS) reset_controllers(&channels->channel[other]);
        if (controller >= MONO_ON) channels->channel[other].mono = controller == MONO_ON;
    }
    if (controller == ALL_SOUND_OFF) return (rt_order){RT_ORDER_FADE, all};
    return (rt_order){controller >= ALL_NOTES_OFF ? RT_ORDER_RELEASE : RT_ORDER_NOTHING, all};
}

rt_order rt_channels_control(rt_channels *channels, int32_t c, int32_t controller, double value)
{
    rt_channel *channel = &channels->channel[c];
    value = fmin(fmax(value, 0.0), 127.0);
    switch (controller) {
    case MODULATION: channel->modulation = value / 127.0; break;
    case VOLUME:
        channel->volume = value;
        set_level(channel);
        break;
    case EXPRESSION:
        channel->expression = value;
        set_level(channel);
        break;
    case PAN: channel->pan = fmax(-1.0, (value - 64.0) / 63.0); break;
    case TIMBRE: channel->timbre = fmax(-1.0, (value - 64.0) / 63.0); break;
    case SUSTAIN: channel->sustain = value / 127.0; break;
    case SOFT: channel->soft = value / 127.0; break;
    case SOSTENUTO: return press_sostenuto(channels, c, value >= 64.0);
    case RPN_MSB: channel->rpn_msb = (int32_t)value; break;
    case RPN_LSB: channel->rpn_lsb = (int32_t)value; break;
    case NRPN_MSB:
    case NRPN_LSB: channel->rpn_msb = channel->rpn_lsb = NO_RPN; break;
    case DATA_MSB: return enter_data(channels, c, false, (int32_t)value);
    case DATA_LSB: return enter_data(channels, c, true, (int32_t)value);
    case INCREMENT: return step_data(channels, c, 1);
    case DECREMENT: return step_data(channels, c, -1);
    default:
        if (controller == ALL_SOUND_OFF || controller == RESET_CONTROLLERS ||
            (controller >= ALL_NOTES_OFF && controller <= POLY_ON))
            return change_mode(channels, c, controller);
    }
    return (rt_order){RT_ORDER_NOTHING, 0};
}

void rt_channels_bend(rt_channels *channels, int32_t c, double value)
{
    channels->channel[c].bend = fmin(fmax(value, -1.0), 1.0);
}

void rt_channels_press(rt_channels *channels, int32_t c, int32_t key, double value)
{
    const double pressed = fmin(fmax(value / 127.0, 0.0), 1.0);
    if (key < 0)
        channels->channel[c].pressure = pressed;
    else
        channels->channel[c].key_pressure[key] = (float)pressed;
}

void rt_channels_tune(rt_channels *channels, int32_t c, int32_t key, double pitch)
{
    if (isinf(pitch)) return;
    channels->channel[c].pitch[key] = isnan(pitch) ? NAN : fmin(fmax(pitch, LOWEST_PITCH), HIGHEST_PITCH);
}
