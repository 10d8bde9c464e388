from .denoising import Denoising as Denoising
from .denoising import Moment as Moment
from .denoising import denoise as denoise
from .denoising import load_generator as load_generator
from .settings import PromptSettings as PromptSettings
from .sheets import explain as explain
from .sheets import explain_prompt as explain_prompt
