"""Measuring as on a processor with narrower vectors: `python -m benchmarks.run --instruction-set avx2`.

The libraries choose their code by the processor. Environment variables restrict the choice. What the compiler of a
library decided stays: TensorFlow's own loops use AVX on every processor.
"""

# AVX2 with fused multiply-add, as Haswell and Zen 1 to 3 have.
AVX2 = {
    "ONEDNN_MAX_CPU_ISA": "AVX2",  # of TensorFlow and PyTorch
    "XLA_FLAGS": "--xla_cpu_max_isa=AVX2",  # of TensorFlow and JAX
    "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    "OPENBLAS_CORETYPE": "Haswell",
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",  # of PyTorch
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX512F,-AVX512VL",
}
INSTRUCTION_SETS = {"avx2": AVX2}


def result_name(workload: str, peers: bool, instruction_set: str | None) -> str:
    """The name of a result file."""
    return (
        "_".join([workload, *(["peers"] if peers else []), *([instruction_set] if instruction_set else [])]) + ".json"
    )
