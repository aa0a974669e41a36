"""Recipes: settings under which a net was published, or that we chose."""
from ash_tf1.training.settings import Settings, read_settings

# Each recipe states what differs from the defaults of `Settings`.
RECIPES = {
    # He et al., "Identity Mappings in Deep Residual Networks" (1603.05027): 64k steps of 128, the
    # rate divided by 10 at 32k and 48k.
    'resnet-cifar': dict(net='resnet_v2_110', dataset='cifar10', steps=64000, batch_size=128,
                         schedule='step', learning_rate=0.1, step_at=(0.5, 0.75), step_factor=0.1,
                         weight_decay=1e-4, augmentation='crop_flip'),
    # He et al., "Deep Residual Learning for Image Recognition" (1512.03385) and, for how long,
    # 1603.05027: 90 epochs of 256, the rate divided by 10 at 30 and 60. It names no data set, for
    # there is no reader of ImageNet; their scale augmentation is missing likewise.
    'resnet-imagenet': dict(net='resnet_v1_50', dataset='', epochs=90, batch_size=256,
                            schedule='step', learning_rate=0.1, step_at=(1 / 3, 2 / 3),
                            step_factor=0.1, weight_decay=1e-4, augmentation='crop_flip'),
    # Zagoruyko and Komodakis, "Wide Residual Networks" (1605.07146): 200 epochs of 128, the rate
    # times 0.2 at 60, 120 and 160.
    'wide-resnet-cifar': dict(net='wrn_28_10', dataset='cifar10', epochs=200, batch_size=128,
                              schedule='step', learning_rate=0.1, step_at=(0.3, 0.6, 0.8),
                              step_factor=0.2, nesterov=True, weight_decay=5e-4,
                              augmentation='crop_flip'),
    # Huang et al., "Densely Connected Convolutional Networks" (1608.06993): 300 epochs of 64, the
    # rate divided by 10 at 150 and 225.
    'densenet-cifar': dict(net='densenet_100_12', dataset='cifar10', epochs=300, batch_size=64,
                           schedule='step', learning_rate=0.1, step_at=(0.5, 0.75),
                           step_factor=0.1, nesterov=True, weight_decay=1e-4,
                           augmentation='crop_flip'),
    # About an hour on 2 CPU cores; our own, in the manner of "Super-Convergence" (1708.07120).
    'cifar-short': dict(net='resnet_v2_20', dataset='cifar10', epochs=7, batch_size=128,
                        schedule='one_cycle', learning_rate=0.2, weight_decay=5e-4,
                        augmentation='crop_flip'),
    # A minute on 2 CPU cores; flipped digits are other digits, so they are only shifted. The norm
    # is for the deep nets, whose first gradients on such small images are in the thousands.
    'digits': dict(net='resnet_v2_8', dataset='digits', epochs=12, batch_size=64,
                   schedule='one_cycle', learning_rate=0.1, weight_decay=5e-4, clip_norm=1.0,
                   augmentation='crop', log_every=5),
}


def get_recipe(name):
    """The `Settings` of a recipe.

    Args:
      name: a key of `RECIPES`, or the path of a JSON file that ends in `.json`: an object of what
        differs from the defaults of `Settings`.

    Raises:
      ValueError: there is none of that name, and the message lists the known ones; or the file
        does not hold settings.
    """
    if name.endswith('.json'):
        return read_settings(name)
    if name not in RECIPES:
        raise ValueError('unknown recipe {!r}; known are {}'.format(
            name, ', '.join(sorted(RECIPES))))
    return Settings(**RECIPES[name])
