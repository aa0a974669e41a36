"""Recipes: settings that were published with a net, or that we chose."""
from ash_tf1.names import unknown
from ash_tf1.training.settings import Settings, read_settings

# Each recipe states what differs from the defaults of `Settings`.
RECIPES = {
    # He et al., "Identity Mappings in Deep Residual Networks" (1603.05027): 64k steps in batches of
    # 128; the rate is divided by 10 at 32k and 48k.
    'resnet-cifar': dict(net='resnet_v2_110', dataset='cifar10', steps=64000, batch_size=128,
                         schedule='step', learning_rate=0.1, step_at=(0.5, 0.75), step_factor=0.1,
                         weight_decay=1e-4, augmentation='crop_flip'),
    # He et al., "Deep Residual Learning for Image Recognition" (1512.03385); the length of the run
    # is that of 1603.05027: 90 epochs in batches of 256; the rate is divided by 10 at 30 and 60. It
    # names no data set, because there is no reader of ImageNet here. There is no scale augmentation
    # either, which the paper has.
    'resnet-imagenet': dict(net='resnet_v1_50', dataset='', epochs=90, batch_size=256,
                            schedule='step', learning_rate=0.1, step_at=(1 / 3, 2 / 3),
                            step_factor=0.1, weight_decay=1e-4, augmentation='crop_flip'),
    # Zagoruyko and Komodakis, "Wide Residual Networks" (1605.07146): 200 epochs in batches of 128;
    # the rate is multiplied by 0.2 at 60, 120 and 160.
    'wide-resnet-cifar': dict(net='wrn_28_10', dataset='cifar10', epochs=200, batch_size=128,
                              schedule='step', learning_rate=0.1, step_at=(0.3, 0.6, 0.8),
                              step_factor=0.2, nesterov=True, weight_decay=5e-4,
                              augmentation='crop_flip'),
    # Huang et al., "Densely Connected Convolutional Networks" (1608.06993): 300 epochs in batches
    # of 64; the rate is divided by 10 at 150 and 225.
    'densenet-cifar': dict(net='densenet_100_12', dataset='cifar10', epochs=300, batch_size=64,
                           schedule='step', learning_rate=0.1, step_at=(0.5, 0.75),
                           step_factor=0.1, nesterov=True, weight_decay=1e-4,
                           augmentation='crop_flip'),
    # Radford et al., "Unsupervised Representation Learning with Deep Convolutional Generative
    # Adversarial Networks" (1511.06434), as github.com/carpedm20/DCGAN-tensorflow trains on faces.
    # It trains the generator twice a step; here it is once, as in the paper.
    'dcgan-celeba': dict(task='generation', net='dcgan', dataset='celeba', epochs=25,
                         batch_size=64, optimizer='adam', learning_rate=2e-4, beta1=0.5,
                         step_at=(), weight_decay=0.0, augmentation='none', keep_every=5),
    # Our own. Three minutes on 2 CPU cores. Digits are not shifted: then fewer samples can be read.
    'dcgan-digits': dict(task='generation', net='dcgan', net_options=('width=16', 'latent_size=10'),
                         dataset='digits', epochs=120, batch_size=32, optimizer='adam',
                         learning_rate=1e-3, beta1=0.5, step_at=(0.7,), label_smoothing=0.1,
                         ema_decay=0.998, weight_decay=0.0, augmentation='none', log_every=50),
    # Our own, with the schedule of "Super-Convergence" (1708.07120). About an hour on 2 CPU cores.
    'cifar-short': dict(net='resnet_v2_20', dataset='cifar10', epochs=7, batch_size=128,
                        schedule='one_cycle', learning_rate=0.2, weight_decay=5e-4,
                        augmentation='crop_flip'),
    # Our own, for some hundreds of photos in folders.
    'photos': dict(net='resnet_v2_18', dataset='folder', image_size=(96, 96), epochs=30,
                   batch_size=16, schedule='one_cycle', learning_rate=0.05, nesterov=True,
                   weight_decay=5e-4, clip_norm=1.0, label_smoothing=0.1, augmentation='crop_flip',
                   log_every=10),
    # Our own. A minute on 2 CPU cores. Digits are only shifted, because a flipped digit is another
    # digit. clip_norm is for deep nets: their first gradients on such small images have norms of
    # thousands.
    'digits': dict(net='resnet_v2_8', dataset='digits', epochs=12, batch_size=64,
                   schedule='one_cycle', learning_rate=0.1, weight_decay=5e-4, clip_norm=1.0,
                   augmentation='crop', log_every=5),
}


def get_recipe(name):
    """The `Settings` of a recipe.

    Args:
      name: a key of `RECIPES`, or the path of a file that ends in `.json`. The file holds a JSON
        object with the fields that differ from the defaults of `Settings`.

    Raises:
      OSError: the file cannot be read.
      ValueError: there is no recipe of this name (the message has the nearest names), or the file
        does not hold settings.
    """
    if name.endswith('.json'):
        return read_settings(name)
    if name not in RECIPES:
        raise unknown('recipe', name, RECIPES)
    return Settings(**RECIPES[name])
