"""How many threads PyTorch has while goldens are made."""

import torch

from lerobot.policies.molmoact2.molmoact2_hf_model import image_processing_molmoact2 as processing


def one_but_for_resizing():
    """One thread, so that sums keep their order, and two where the reference resizes an image.

    With a single thread PyTorch resizes images of three channels with another kernel, at every size, than with
    several: the one that otherwise is for outputs of at most 128 pixels, height and width together. A few bytes
    differ by a level. Whoever has a policy run on a processor has several threads.
    """
    torch.set_num_threads(1)
    resize = processing.resize_image

    def with_several(*args, **kwargs):
        torch.set_num_threads(2)
        try:
            return resize(*args, **kwargs)
        finally:
            torch.set_num_threads(1)

    processing.resize_image = with_several
