"""Lanes: 4, 8 or 16 numbers that loops handle as one, whatever vectors the machine has.

LLVM's own vectoriser wants to be convinced (no overlap between arrays, no remainder, sums in free order), and each
numba brings another LLVM. Loops written in lanes say what is to happen: products and sums, fused where the machine
can, loads at any address, and a sum over lanes where one is wanted. A vector wider than the machine's is split by
LLVM, so the same source runs on AVX-512, AVX2, SSE2 and NEON.

    a, b = load8(x, k), load8(x, n + k)          # x[k…k+7], x[n+k…n+k+7]
    store(x, k, fnma(im, b, mul(re, a)))         # re a - im b
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

# As in `compiled.FAST`, without free order: the order of a sum over rows is the loop's own.
_FLAGS = ("contract", "nsz")


class Lanes(types.Type):
    """`width` numbers of type `real` (types.float32 or types.float64)."""

    def __init__(self, real: Any, width: int) -> None:
        self.real, self.width = real, width
        super().__init__(name=f"Lanes({real}, {width})")


def _vector(lanes: Lanes) -> ir.VectorType:
    return ir.VectorType(ir.FloatType() if lanes.real == types.float32 else ir.DoubleType(), lanes.width)


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager: Any, lanes: Lanes) -> None:
        super().__init__(manager, lanes, _vector(lanes))


def _address(builder: Any, pointer: Any, index: Any, vector: ir.VectorType) -> Any:
    return builder.bitcast(builder.gep(pointer, [index]), vector.as_pointer())


def _bytes(vector: ir.VectorType) -> int:
    """Of one number: what an address is a multiple of, since lanes may begin anywhere."""
    return 4 if isinstance(vector.element, ir.FloatType) else 8


def _load(width: int) -> Any:
    def load(typing_context, pointer, index):
        """pointer[index … index + width - 1]"""
        lanes = Lanes(pointer.dtype, width)

        def generate(context, builder, signature, arguments):
            loaded = builder.load(_address(builder, arguments[0], arguments[1], _vector(lanes)))
            loaded.align = _bytes(_vector(lanes))
            return loaded

        return lanes(pointer, index), generate

    return intrinsic(load)


def _splat(builder: Any, number: Any, width: int) -> Any:
    vector, word = ir.VectorType(number.type, width), ir.IntType(32)
    unset = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(unset, number, ir.Constant(word, 0))
    return builder.shuffle_vector(first, unset, ir.Constant(ir.VectorType(word, width), [0] * width))


def _spread(width: int) -> Any:
    def spread(typing_context, number):
        """The number in every lane."""

        def generate(context, builder, signature, arguments):
            return _splat(builder, arguments[0], width)

        return Lanes(number, width)(number), generate

    return intrinsic(spread)


def _whole(width: int) -> Any:
    def whole(typing_context, pointer, number):
        """An unsigned integer in every lane, as what the pointer points to."""
        lanes = Lanes(pointer.dtype, width)

        def generate(context, builder, signature, arguments):
            return _splat(builder, builder.uitofp(arguments[1], _vector(lanes).element), width)

        return lanes(pointer, number), generate

    return intrinsic(whole)


def _count16(typing_context, pointer):
    """0, 1, … 15, as what the pointer points to."""
    lanes = Lanes(pointer.dtype, 16)
    numbers = ir.Constant(_vector(lanes), [float(i) for i in range(16)])
    return lanes(pointer), lambda context, builder, signature, v: numbers


def _store(typing_context, pointer, index, lanes):
    """pointer[index …] = lanes"""

    def generate(context, builder, signature, arguments):
        pointer, index, values = arguments
        builder.store(values, _address(builder, pointer, index, values.type)).align = _bytes(values.type)
        return context.get_dummy_value()

    return types.void(pointer, index, lanes), generate


def _add(typing_context, a, b):
    """a + b"""
    return a(a, b), lambda context, builder, signature, v: builder.fadd(*v, flags=_FLAGS)


def _sub(typing_context, a, b):
    """a - b"""
    return a(a, b), lambda context, builder, signature, v: builder.fsub(*v, flags=_FLAGS)


def _mul(typing_context, a, b):
    """a b"""
    return a(a, b), lambda context, builder, signature, v: builder.fmul(*v, flags=_FLAGS)


def _fma(typing_context, a, b, c):
    """a b + c"""

    def generate(context, builder, signature, v):
        return builder.fadd(builder.fmul(v[0], v[1], flags=_FLAGS), v[2], flags=_FLAGS)

    return a(a, b, c), generate


def _fnma(typing_context, a, b, c):
    """c - a b"""

    def generate(context, builder, signature, v):
        return builder.fsub(v[2], builder.fmul(v[0], v[1], flags=_FLAGS), flags=_FLAGS)

    return a(a, b, c), generate


def _total(typing_context, lanes):
    """The sum of the lanes, by halves."""

    def generate(context, builder, signature, arguments):
        vector = arguments[0].type
        name = f"llvm.vector.reduce.fadd.v{vector.count}f{8 * _bytes(vector)}"
        kind = ir.FunctionType(vector.element, [vector.element, vector])
        reduce = cgutils.get_or_insert_function(builder.module, kind, name)
        zero = ir.Constant(vector.element, -0.0)
        return builder.call(reduce, [zero, arguments[0]], fastmath=("reassoc", "nsz"))

    return lanes.real(lanes), generate


load8, load16 = _load(8), _load(16)
spread8, spread16 = _spread(8), _spread(16)
whole8, whole16 = _whole(8), _whole(16)
count16: Any = intrinsic(_count16)
store: Any = intrinsic(_store)
add: Any = intrinsic(_add)
sub: Any = intrinsic(_sub)
mul: Any = intrinsic(_mul)
fma: Any = intrinsic(_fma)
fnma: Any = intrinsic(_fnma)
total: Any = intrinsic(_total)
