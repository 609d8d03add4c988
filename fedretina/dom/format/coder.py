"""Each tensor of a job, coded with the steps that the configuration asks for."""

from collections.abc import Callable

from fedretina.dom.format.bundle import encode_small
from fedretina.dom.format.encoder import CodedTensor, is_coded_as_vector
from fedretina.dom.format.job import Job, encode_job_tensor
from fedretina.dom.format.rotated import RotatedDifferences
from fedretina.dom.format.shared_step import SharedStep


def coder(job: Job, *, keep: bool, differences: RotatedDifferences | None = None) -> Callable[[str], CodedTensor]:
    """Return what codes a tensor, by its name; those that share their steps or their rotation are coded now.

    `differences` are the job's, if they are rotated already.
    """
    step = SharedStep.of(job)
    based = frozenset() if step is None else job.based
    together: dict[str, CodedTensor] = {}
    if not job.config.rotated:
        together = encode_small(job, None if step is None else step.choose, keep=keep)
    elif (found := differences or RotatedDifferences.of(job)) is not None and job.config.rms_step is not None:
        together = found.encode(job.config.rms_step, effort=job.config.effort, keep=keep)

    def code(name: str) -> CodedTensor:
        if name in together:
            return together[name]
        if step is None or name not in based:
            return encode_job_tensor(job, name, keep=keep)
        is_vector = is_coded_as_vector(job.config, job.new[name].shape)
        return encode_job_tensor(job, name, chooser=step.choose_for_vector if is_vector else step.choose, keep=keep)

    return code
